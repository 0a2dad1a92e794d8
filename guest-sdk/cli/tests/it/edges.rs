//! Who may depend on whom. The picture and the reasons are in ARCHITECTURE.md; a new edge changes both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Every package of the workspace and the packages of the workspace it may use itself (not in tests).
const MAY_USE: &[(&str, &[&str])] = &[
    ("p2c2r-abi", &[]),
    ("p2c2r-macros", &[]),
    ("p2c2r-signing", &[]),
    ("p2c2r-wgsl", &[]),
    ("p2c2r-guest", &["p2c2r-abi", "p2c2r-macros"]),
    ("kernel-flow", &["p2c2r-guest"]),
    ("kernel-npc", &["p2c2r-guest"]),
    ("kernel-physics", &["p2c2r-guest"]),
    ("kernel-raytrace", &["p2c2r-guest"]),
    ("kernel-voxels", &["p2c2r-guest"]),
    ("kernel-loops", &["p2c2r-guest"]),
    ("p2c2r-shader", &[]),
    ("p2c2r-runtime", &["p2c2r-abi", "p2c2r-shader", "p2c2r-signing"]),
    ("p2c2r-jail", &["p2c2r-runtime", "p2c2r-signing"]),
    ("p2c2r", &["p2c2r-runtime", "p2c2r-signing", "p2c2r-wgsl"]),
    ("p2c2r-protocol", &["p2c2r-signing"]),
    ("p2c2r-transport", &["p2c2r-protocol", "p2c2r-signing"]),
    ("p2c2r-core", &["p2c2r-protocol", "p2c2r-signing"]),
    ("p2c2r-sim", &["p2c2r-core", "p2c2r-protocol", "p2c2r-signing"]),
    ("p2c2r-coordinator", &["p2c2r-core", "p2c2r-protocol", "p2c2r-signing", "p2c2r-transport"]),
    ("p2c2r-peer", &["p2c2r-jail", "p2c2r-protocol", "p2c2r-runtime", "p2c2r-signing", "p2c2r-transport"]),
    ("p2c2r-client", &["p2c2r-protocol", "p2c2r-runtime", "p2c2r-signing", "p2c2r-transport"]),
    ("p2c2r-example-network", &["*"]),
    ("p2c2r-bench", &["*"]),
];

/// What must not be reached from a package, over any number of steps, and why.
const NEVER: &[(&str, &[&str], &str)] = &[
    ("p2c2r-abi", &["*"], "both sides of the sandbox compile it"),
    ("p2c2r-signing", &["tokio", "wasmtime", "wgpu"], "it is the leaf everything stands on"),
    ("p2c2r-guest", &["tokio", "wasmtime", "wgpu", "p2c2r-signing"], "it is compiled into every kernel"),
    ("p2c2r-shader", &["wgpu", "wasmtime", "tokio"], "shaders are looked at without a driver"),
    ("p2c2r-runtime", &["tokio", "rustls", "tungstenite", "hyper", "p2c2r-protocol"], "the sandbox knows no network"),
    ("p2c2r-jail", &["tokio", "rustls", "tungstenite", "hyper", "p2c2r-protocol"], "what runs guests knows no network"),
    ("p2c2r", &["tokio", "rustls", "p2c2r-protocol"], "the author's tool works on files alone"),
    (
        "p2c2r-core",
        &["tokio", "mio", "wasmtime", "wgpu", "rustls", "rusqlite", "p2c2r-transport", "p2c2r-runtime"],
        "the market does no I/O and runs no guest",
    ),
    ("p2c2r-sim", &["tokio", "mio", "wasmtime", "wgpu", "rustls"], "a simulated network is one thread and no sockets"),
    ("p2c2r-protocol", &["tokio", "wasmtime", "wgpu", "rustls"], "messages are data"),
    ("p2c2r-transport", &["wasmtime", "wgpu", "p2c2r-core"], "sockets know no market"),
    ("p2c2r-coordinator", &["wasmtime", "wgpu", "naga", "p2c2r-runtime"], "the operator's machine runs no guest code"),
    ("p2c2r-peer", &["p2c2r-core", "p2c2r-coordinator", "p2c2r-client"], "a peer is not a market"),
    ("p2c2r-client", &["p2c2r-core", "p2c2r-coordinator", "p2c2r-peer"], "a game links no server"),
];

/// Names of the packages that each package uses when it is built for use, resolved with all features.
type Graph = BTreeMap<String, BTreeSet<String>>;

fn metadata() -> Metadata {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let host = String::from_utf8(rustc.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml"))
        .other_options(vec!["--all-features".to_owned(), "--filter-platform".to_owned(), host])
        .exec()
        .unwrap()
}

fn graph(metadata: &Metadata) -> Graph {
    let names: BTreeMap<&PackageId, String> =
        metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
    let mut graph = Graph::new();
    for node in &metadata.resolve.as_ref().unwrap().nodes {
        let used =
            node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development));
        graph.entry(names[&node.id].clone()).or_default().extend(used.map(|dep| names[&dep.pkg].clone()));
    }
    graph
}

/// Everything reached from `package`, each with the package it was first reached through.
fn reached<'a>(graph: &'a Graph, package: &'a str) -> BTreeMap<&'a str, &'a str> {
    let mut through = BTreeMap::new();
    let mut open = vec![package];
    while let Some(user) = open.pop() {
        for used in graph.get(user).into_iter().flatten() {
            if used != package && !through.contains_key(used.as_str()) {
                through.insert(used.as_str(), user);
                open.push(used);
            }
        }
    }
    through
}

/// `p2c2r-core -> x -> tokio`
fn chain(through: &BTreeMap<&str, &str>, from: &str, to: &str) -> String {
    let mut steps = vec![to];
    while let Some(user) = through.get(steps[steps.len() - 1]).filter(|_| steps[steps.len() - 1] != from) {
        steps.push(user);
    }
    steps.reverse();
    steps.join(" -> ")
}

#[test]
fn packages_use_only_what_they_may() {
    let metadata = metadata();
    let graph = graph(&metadata);
    let members: BTreeSet<String> =
        metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let listed: BTreeSet<String> = MAY_USE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(members, listed, "every package of the workspace has a line in MAY_USE");

    for (package, allowed) in MAY_USE.iter().filter(|(_, allowed)| *allowed != ["*"]) {
        for used in graph[*package].intersection(&members) {
            assert!(allowed.contains(&used.as_str()), "{package} uses {used}, which it may not");
        }
    }
}

#[test]
fn packages_never_reach_what_they_must_not() {
    let graph = graph(&metadata());
    for (package, forbidden, reason) in NEVER {
        let through = reached(&graph, package);
        for name in through.keys() {
            let bad = *forbidden == ["*"] || forbidden.contains(name);
            assert!(!bad, "{}: must not be, because {reason}", chain(&through, package, name));
        }
    }
}

/// Packages and their features, one a line, as cargo builds them for this machine.
fn built(arguments: &[&str]) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--no-dedupe", "--prefix=none", "--format={p} with {f}"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8(tree.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Or `run_network.sh` after `run_tests.sh` would build the sandbox and the network once more. What only tests ask for is switched on
/// for the whole workspace then.
#[test]
fn tests_switch_on_no_feature_that_programs_are_built_without() {
    let programs = ["p2c2r", "p2c2r-coordinator", "p2c2r-example-network", "p2c2r-jail", "p2c2r-peer"];
    let alone = built(&[&["--edges=normal,build"][..], &programs.map(|name| ["--package", name]).concat()].concat());
    let name = |line: &str| line.split(" with ").next().unwrap_or_default().to_owned();
    let used: BTreeSet<String> = alone.iter().map(|line| name(line)).collect();
    let with_tests = built(&["--workspace", "--edges=normal,build,dev"]);
    for line in built(&["--workspace", "--edges=normal,build"]).iter().filter(|line| used.contains(&name(line))) {
        let instead: Vec<&String> = with_tests.iter().filter(|other| name(other) == name(line)).collect();
        assert!(instead.contains(&line), "{line}; where tests are built, {instead:?}");
    }
}

#[test]
fn a_chain_shows_the_way() {
    let uses = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let graph =
        Graph::from([("a".to_owned(), uses(&["b"])), ("b".to_owned(), uses(&["c", "a"])), ("c".to_owned(), uses(&[]))]);
    let through = reached(&graph, "a");
    assert_eq!(through.keys().copied().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(chain(&through, "a", "c"), "a -> b -> c");
}
