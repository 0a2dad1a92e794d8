//! Modules and keys that the tests share. Everything follows from fixed seeds.

use p2c2r_signing::{Manifest, SecretKey, attach, sign_module};

pub(crate) fn author() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

pub(crate) fn stranger() -> SecretKey {
    SecretKey::from_seed(&[8; 32])
}

pub(crate) fn manifest() -> Manifest {
    let json = br#"{"name":"echo","version":"1.2.3","abi":1,"publisher":"Example","unit":"byte",
        "gpu":{"buffers":2,"buffer_bytes":4096,"dispatches":1,"workgroups":64}}"#;
    Manifest::from_json(json).unwrap()
}

/// A module with type, function, memory, export and code sections and a foreign custom section.
pub(crate) fn wasm() -> Vec<u8> {
    let text = r#"(module (memory (export "memory") 1) (func (export "p2c2r_main") (result i32) i32.const 0)
        (@custom "producers" "\00"))"#;
    wat::parse_str(text).unwrap()
}

pub(crate) fn shaders() -> Vec<(String, String)> {
    [("trace", "@compute @workgroup_size(1) fn main() {}"), ("blur", "// nothing")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .to_vec()
}

pub(crate) fn attached() -> Vec<u8> {
    attach(&wasm(), &manifest(), &shaders()).unwrap()
}

pub(crate) fn signed() -> Vec<u8> {
    sign_module(&attached(), &author()).unwrap()
}

/// A custom section, shortest form.
pub(crate) fn custom(name: &str, content: &[u8]) -> Vec<u8> {
    let mut body = leb(name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(content);
    let mut section = vec![0];
    section.extend(leb(body.len()));
    section.extend(body);
    section
}

pub(crate) fn leb(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = (n & 0x7f) as u8;
        n >>= 7;
        out.push(if n > 0 { byte | 0x80 } else { byte });
        if n == 0 {
            return out;
        }
    }
}

/// Splits a module with minimal lengths into header and whole sections.
pub(crate) fn split(module: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (header, mut rest) = module.split_at(8);
    let mut sections = Vec::new();
    while !rest.is_empty() {
        let (mut size, mut at) = (0usize, 1);
        for shift in (0..).step_by(7) {
            let byte = rest[at];
            at += 1;
            size |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (section, next) = rest.split_at(at + size);
        sections.push(section.to_vec());
        rest = next;
    }
    (header.to_vec(), sections)
}

pub(crate) fn join(header: &[u8], sections: &[Vec<u8>]) -> Vec<u8> {
    let mut module = header.to_vec();
    sections.iter().for_each(|s| module.extend_from_slice(s));
    module
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}
