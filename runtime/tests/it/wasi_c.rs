//! C programs that nobody here wrote, in the `wasi` profile. Their sources are not in this repository: they are the
//! ones that crates of our own lock file bundle, compiled with clang and wasi-libc as Debian packages them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::MetadataCommand;
use p2c2r_runtime::Kernel;
use p2c2r_signing::Outcome;

use crate::kit::{load_program, run_program as run};

/// What `scripts/setup.sh` installs, and how to say that it is missing.
const NEEDED: &str = "clang for wasm32-wasi (Debian: clang lld wasi-libc libclang-rt-dev-wasm32)";

/// Compiles and loads a program; `None`, having said so, where there is no compiler and none is required.
fn build(arguments: &[impl AsRef<OsStr>]) -> Option<Kernel> {
    let dir = tempfile::tempdir().unwrap();
    let (probe, wasm) = (dir.path().join("probe.c"), dir.path().join("program.wasm"));
    fs::write(&probe, "int main(void) { return 0; }").unwrap();
    let clang = |arguments: &mut dyn FnMut(&mut Command)| {
        let mut command = Command::new("clang");
        command.args(["--target=wasm32-wasi", "-Wl,-z,stack-size=1048576", "-o"]).arg(&wasm);
        arguments(&mut command);
        command.output()
    };
    let usable = clang(&mut |command| {
        command.arg(&probe);
    });
    if !usable.as_ref().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("P2C2R_REQUIRE_WASI_C").is_none(), "no {NEEDED}: {usable:?}");
        eprintln!("SKIPPED: no {NEEDED}");
        return None;
    }
    let built = clang(&mut |command| {
        command.args(arguments);
    })
    .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(load_program(&fs::read(&wasm).unwrap()))
}

/// Where cargo keeps the source of a package in our lock file.
fn source_of(package: &str) -> PathBuf {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let host = String::from_utf8(rustc.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    let metadata = MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .other_options(vec!["--offline".to_owned(), "--filter-platform".to_owned(), host])
        .exec()
        .unwrap();
    let found = metadata.packages.iter().find(|found| found.name.as_str() == package).expect("a package we depend on");
    found.manifest_path.parent().expect("a folder").as_std_path().to_owned()
}

/// Ours, for what a program sees of the world that is not there.
#[test]
fn libc_on_a_world_without_files() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("sort.c");
    fs::write(
        &source,
        r#"
        #include <errno.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <time.h>
        static int order(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
        int main(int argc, char **argv) {
            char line[256], *lines[64];
            int count = 0;
            time_t now = time(NULL);
            while (count < 64 && fgets(line, sizeof line, stdin)) lines[count++] = strdup(line);
            qsort(lines, count, sizeof *lines, order);
            for (int i = 0; i < count; i++) fputs(lines[i], stdout);
            FILE *file = fopen("/etc/passwd", "r");
            fprintf(stderr, "%d arguments, year %d, fopen %s, getenv %s\n", argc, 1900 + gmtime(&now)->tm_year,
                file ? "works" : errno == ENOTCAPABLE ? "is refused" : strerror(errno), getenv("PATH") ? "works" : "fails");
            return count == 3 ? 0 : 5;
        }"#,
    )
    .unwrap();
    let Some(kernel) = build(&[OsStr::new("-O1"), source.as_os_str()]) else { return };
    let sorted = run(&kernel, b"pear\napple\nfig\n");
    assert_eq!(sorted.outcome, Outcome::Output, "{:?}", sorted.log);
    assert_eq!(sorted.output, b"apple\nfig\npear\n");
    assert_eq!(sorted.log[0].text, "0 arguments, year 2000, fopen is refused, getenv fails");
    assert_eq!(run(&kernel, b"one\n").outcome, Outcome::Failed(5));
}

/// The example program of BLAKE3's C implementation, as it is, against the Rust implementation.
#[test]
fn blake3_in_c_agrees_with_blake3_in_rust() {
    let c = source_of("blake3").join("c");
    let sources = ["example.c", "blake3.c", "blake3_dispatch.c", "blake3_portable.c"].map(|name| c.join(name));
    let flags = ["-O2", "-DBLAKE3_NO_SSE2", "-DBLAKE3_NO_SSE41", "-DBLAKE3_NO_AVX2", "-DBLAKE3_NO_AVX512"];
    let arguments: Vec<_> = flags.iter().map(OsStr::new).chain(sources.iter().map(|s| s.as_os_str())).collect();
    let Some(kernel) = build(&arguments) else { return };
    // Around its block, chunk and buffer sizes, and the largest input this manifest takes.
    for bytes in [0, 1, 63, 64, 65, 1023, 1024, 1025, 65_535, 65_536, 65_537, 1 << 20] {
        let input: Vec<u8> = (0..bytes).map(|i: u32| (i % 251) as u8).collect();
        let execution = run(&kernel, &input);
        assert_eq!(execution.outcome, Outcome::Output);
        assert_eq!(
            String::from_utf8(execution.output).unwrap(),
            format!("{}\n", blake3::hash(&input)),
            "{bytes} bytes"
        );
    }
}

/// SQLite, a quarter of a million lines, with the file layer that its Rust bindings bring for WASI. Only the shell
/// around it is ours: it runs the SQL on standard input and prints rows.
#[test]
fn sqlite_runs_in_memory_and_finds_no_files() {
    let sqlite = source_of("libsqlite3-sys").join("sqlite3");
    let dir = tempfile::tempdir().unwrap();
    let shell = dir.path().join("shell.c");
    fs::write(
        &shell,
        r#"
        #include <stdio.h>
        #include "sqlite3.h"
        static int row(void *unused, int columns, char **values, char **names) {
            for (int i = 0; i < columns; i++) printf("%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
            putchar('\n');
            return 0;
        }
        int main(void) {
            static char sql[65536];
            char *error = NULL;
            sqlite3 *db;
            sql[fread(sql, 1, sizeof sql - 1, stdin)] = 0;
            if (sqlite3_open(":memory:", &db) != SQLITE_OK || sqlite3_exec(db, sql, row, NULL, &error) != SQLITE_OK) {
                fprintf(stderr, "%s\n", error ? error : sqlite3_errmsg(db));
                return 1;
            }
            return sqlite3_close(db);
        }"#,
    )
    .unwrap();
    let include = format!("-I{}", sqlite.display());
    // Unoptimised: the compiler takes two seconds so, and seventeen otherwise.
    let flags = [
        "-O0",
        include.as_str(),
        "-DSQLITE_OS_OTHER",
        "-DSQLITE_THREADSAFE=0",
        "-DSQLITE_TEMP_STORE=3",
        "-DSQLITE_OMIT_LOAD_EXTENSION",
        "-DLONGDOUBLE_TYPE=double",
    ];
    let sources = [shell, sqlite.join("sqlite3.c"), sqlite.join("wasm32-wasi-vfs.c")];
    let arguments: Vec<_> = flags.iter().map(OsStr::new).chain(sources.iter().map(|s| s.as_os_str())).collect();
    let Some(kernel) = build(&arguments) else { return };

    let sql = b"
        create table score(player text, points integer, at real);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
            insert into score select 'p' || (i % 7), (i * 7919) % 1009, i / 3.0 from n;
        create index by_player on score(player, points);
        select player, count(*), sum(points), round(avg(at), 3) from score group by player order by player limit 2;
        select upper(group_concat(x, '-')) from (select distinct player as x from score order by x);
        select json_extract('{\"a\":[1,2,{\"b\":3}]}', '$.a[2].b'), 7 / 2, 7 / 2.0, typeof(null);
        delete from score where points > 500;
        select count(*) from score;
        pragma integrity_check;
        select strftime('%Y', 'now');";
    let execution = run(&kernel, sql);
    assert_eq!(execution.outcome, Outcome::Output, "{:?}", execution.log);
    let expected = "p0|285|145022|333.667\np1|286|144651|332.833\nP0-P1-P2-P3-P4-P5-P6\n3|3|3.5|null\n992\nok\n2000\n";
    assert_eq!(String::from_utf8(execution.output).unwrap(), expected);

    for (sql, says) in [
        ("attach '/tmp/other.db' as other; create table other.t(x);", "unable to open database: /tmp/other.db"),
        ("select * from missing;", "no such table: missing"),
    ] {
        let execution = run(&kernel, sql.as_bytes());
        assert_eq!((execution.outcome, execution.log[0].text.as_str()), (Outcome::Failed(1), says));
    }
}
