//! A word counter as anybody would write it, for `wasm32-wasip1`; no part of this crate: `tests/it/wasi_rust.rs` compiles it.
//! What it finds of the world goes to standard error.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant, SystemTime};
use std::{env, fmt, fs, io, net, process, thread};

#[derive(Debug, Default)]
struct Count {
    times: u64,
    letters: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3} x {:#06x} {:8.3}", self.times, self.letters, (self.times as f64).sqrt())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words: HashMap<String, Count> = HashMap::new();
    for line in io::stdin().lock().lines() {
        for word in line?.split_whitespace() {
            let count = words.entry(word.to_lowercase()).or_default();
            count.times += 1;
            count.letters = word.chars().count();
        }
    }
    match words.len() {
        0 => process::exit(3),
        1 => panic!("one word"),
        _ => {}
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    // In the order of a hash with random keys, and in that of the alphabet.
    writeln!(out, "{}", words.keys().map(String::as_str).collect::<Vec<_>>().join(" "))?;
    for (word, count) in words.iter().collect::<BTreeMap<_, _>>() {
        writeln!(out, "{word:<8}{count}")?;
    }
    out.flush()?;

    let begun = Instant::now();
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    // An hour of the sandbox's clock, which takes no time.
    thread::sleep(Duration::from_secs(3600));
    eprintln!(
        "{} arguments, {} variables, {unix} s, slept {} s",
        env::args().count(),
        env::vars().count(),
        begun.elapsed().as_secs()
    );
    let refused = |what: &str, result: io::Result<()>| match result {
        Ok(()) => eprintln!("{what}: works"),
        Err(error) => eprintln!("{what}: {error}"),
    };
    refused("read", fs::read("/etc/passwd").map(drop));
    refused("write", fs::write("out.txt", "x"));
    refused("list", fs::read_dir("/").map(drop));
    refused("connect", net::TcpStream::connect("127.0.0.1:80").map(drop));
    Ok(())
}
