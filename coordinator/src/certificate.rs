//! The server's certificate: checked before anybody is let near it, or made for development.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use p2c2r_transport::ServerIdentity;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::files::{Readers, read_limited, write_atomically};

/// Names a development certificate is always good for.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate and key fit to serve.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) identity: ServerIdentity,
    /// Seconds since the Unix epoch.
    pub(crate) expires: i64,
}

/// A certificate that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read or written.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// Its time is over.
    #[error("certificate {} expired on {on}; renew it", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        on: String,
    },
    /// Its time has not come.
    #[error("certificate {} is not valid before {until}; is this machine's clock right?", path.display())]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// When it will be.
        until: String,
    },
    /// A development certificate from an earlier start lacks a name.
    #[error("development certificate {} is not for {name:?}; remove its folder to have it made anew", path.display())]
    OtherNames {
        /// The file.
        path: PathBuf,
        /// The name that is missing.
        name: String,
    },
    /// It cannot be made.
    #[error("development certificate cannot be made")]
    Make(#[from] rcgen::Error),
}

/// Reads and checks a certificate chain and its key.
///
/// # Errors
/// [`CertificateError`] names the file and, for a date, the date.
pub(crate) fn load(chain: &Path, key: &Path) -> Result<Certificate, CertificateError> {
    let at = |path: &Path, problem: String| CertificateError::File { path: path.to_owned(), problem };
    let chain_pem = read_limited(chain).map_err(|e| at(chain, e.to_string()))?;
    let key_pem = read_limited(key).map_err(|e| at(key, e.to_string()))?;
    let identity = ServerIdentity::from_pem(&chain_pem, &key_pem).map_err(|e| {
        let cause = std::error::Error::source(&e).map(|cause| format!(": {cause}")).unwrap_or_default();
        at(chain, format!("{e}{cause} (key {})", key.display()))
    })?;
    let mut expires = i64::MAX;
    // An intermediate that expired breaks the chain just as the leaf does.
    for der in CertificateDer::pem_slice_iter(&chain_pem) {
        let der = der.map_err(|e| at(chain, e.to_string()))?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|e| at(chain, e.to_string()))?;
        let (validity, now) = (certificate.validity(), ASN1Time::now());
        if now < validity.not_before {
            return Err(CertificateError::NotYetValid {
                path: chain.to_owned(),
                until: validity.not_before.to_string(),
            });
        }
        if now > validity.not_after {
            return Err(CertificateError::Expired { path: chain.to_owned(), on: validity.not_after.to_string() });
        }
        expires = expires.min(validity.not_after.timestamp());
    }
    Ok(Certificate { identity, expires })
}

/// The development certificate in `folder`, made if there is none: an authority whose key is thrown away, and one
/// server certificate for localhost and `hostnames`.
///
/// # Errors
/// [`CertificateError`].
pub(crate) fn development(folder: &Path, hostnames: &[String]) -> Result<Certificate, CertificateError> {
    let (ca, chain, key) = (folder.join("ca.pem"), folder.join("server.pem"), folder.join("server.key"));
    if !(ca.exists() && chain.exists() && key.exists()) {
        make(folder, &ca, &chain, &key, hostnames)?;
    }
    check_names(&chain, hostnames)?;
    load(&chain, &key)
}

fn make(folder: &Path, ca: &Path, chain: &Path, key: &Path, hostnames: &[String]) -> Result<(), CertificateError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |e: std::io::Error| CertificateError::File { path, problem: e.to_string() }
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "P2C2R development authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let names = LOCAL_NAMES.iter().map(|name| (*name).to_owned()).chain(hostnames.iter().cloned());
    let mut server = CertificateParams::new(names.collect::<Vec<_>>())?;
    server.distinguished_name.push(DnType::CommonName, "P2C2R development coordinator");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let server_key = KeyPair::generate()?;
    let server_pem = server.signed_by(&server_key, &issuer)?.pem();

    // The authority last: once it is there, all of it is.
    write_atomically(key, server_key.serialize_pem().as_bytes(), Readers::Owner).map_err(at(key))?;
    write_atomically(chain, server_pem.as_bytes(), Readers::Everybody).map_err(at(chain))?;
    write_atomically(ca, authority_pem.as_bytes(), Readers::Everybody).map_err(at(ca))?;
    tracing::info!(ca = %ca.display(), "made a development certificate; clients and peers pin this authority");
    Ok(())
}

fn check_names(chain: &Path, hostnames: &[String]) -> Result<(), CertificateError> {
    let bad = |problem: String| CertificateError::File { path: chain.to_owned(), problem };
    let pem = read_limited(chain).map_err(|e| bad(e.to_string()))?;
    let der = CertificateDer::from_pem_slice(&pem).map_err(|e| bad(e.to_string()))?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|e| bad(e.to_string()))?;
    let names = certificate.subject_alternative_name().map_err(|e| bad(e.to_string()))?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let covers = |name: &String| match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => names.contains(&GeneralName::IPAddress(&ip.octets())),
        Ok(IpAddr::V6(ip)) => names.contains(&GeneralName::IPAddress(&ip.octets())),
        Err(_) => names.contains(&GeneralName::DNSName(name)),
    };
    match hostnames.iter().find(|name| !covers(name)) {
        Some(name) => Err(CertificateError::OtherNames { path: chain.to_owned(), name: name.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_development_certificate_is_made_once_and_knows_its_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let first = development(folder.path(), &names(&["game.example", "192.0.2.7"])).expect("made");
        let second = development(folder.path(), &names(&["192.0.2.7"])).expect("kept");
        assert_eq!(first.identity.leaf_digest(), second.identity.leaf_digest());
        let error = development(folder.path(), &names(&["other.example"])).expect_err("another name").to_string();
        assert!(error.contains("not for \"other.example\""), "{error}");
    }

    #[test]
    fn a_certificate_out_of_its_time_is_refused_with_file_and_date() {
        let folder = tempfile::tempdir().expect("a folder");
        let (chain, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        let check = |from: i32, to: i32, expected: &str| {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("params");
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
            let pair = KeyPair::generate().expect("a key");
            fs::write(&chain, params.self_signed(&pair).expect("signs").pem()).expect("writes");
            fs::write(&key, pair.serialize_pem()).expect("writes");
            let error = load(&chain, &key).expect_err("refused").to_string();
            assert!(error.contains("c.pem") && error.contains(expected), "{error}");
        };
        check(2019, 2020, "expired on Jan  1 00:00:00 2020");
        check(4000, 4001, "not valid before Jan  1 00:00:00 4000");
        fs::write(&chain, "no pem").expect("writes");
        let error = load(&chain, &key).expect_err("refused").to_string();
        assert!(error.contains("holds no certificate"), "{error}");
    }
}
