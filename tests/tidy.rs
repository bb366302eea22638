//! The house keeps its own order: who may import whom, no machine below `shards`, no stray markers, headers on every
//! file, files that stay readable. One line per finding.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which layers a layer of the library may import (the arrow of `src/lib.rs`).
const ARROWS: [(&str, &[&str]); 7] = [
    ("wire", &[]),
    ("proto", &["wire"]),
    ("control", &["wire"]),
    ("negotiate", &["control", "wire"]),
    ("videoroom", &["negotiate", "control", "wire"]),
    ("media", &["videoroom", "control", "proto", "wire"]),
    ("signalling", &["videoroom", "control", "proto", "wire"]),
];

/// What every layer may import: names, times, bounds, the comparison of secrets, and how things are counted.
const GROUND: [&str; 5] = ["counters", "id", "limits", "secret", "time"];

/// What has no place in the library: it is given bytes, instants and randomness, and asks nobody for them.
const MACHINE: [&str; 22] = [
    "glommio",
    "io_uring",
    "libc::",
    "std::thread",
    "std::fs",
    "std::env",
    "std::process",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "UdpSocket",
    "Instant::now",
    "SystemTime",
    "OsRng",
    "rand::rng",
    "thread_rng",
    "println!",
    "eprintln!",
    "tracing::",
    "Mutex",
    "RwLock",
    "RefCell",
];

/// The one file that speaks to the DTLS library's clock: thread-local, unsafe, and so justified in its header.
const CLOCK_EDGE: &str = "src/proto/dtls/clock.rs";

/// Words that mean unfinished work; joined here so that this file does not find itself.
const MARKERS: [&str; 6] = [
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("TO", "DO"),
    concat!("dbg", "!("),
];

/// A file past this many lines has a noun that wants to leave.
const LINES_MAX: usize = 650;

struct Source {
    path: String,
    text: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path: PathBuf = entry.path();
            if path.is_dir() && !["target", "node_modules"].iter().any(|skip| path.ends_with(skip)) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds no source");
    found
}

/// The lines that are code outside tests, numbered from 1: comments are gone, and so is what follows `#[cfg(test)]`.
fn code(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let is_test_file = source.path.ends_with("tests.rs") || source.path.contains("/tests/");
    source
        .text
        .lines()
        .enumerate()
        .take_while(move |(_, line)| !is_test_file && line.trim() != "#[cfg(test)]")
        .map(|(i, line)| (i + 1, line.split("//").next().unwrap_or_default()))
}

fn report(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn imports_follow_the_arrow() {
    let mut findings = Vec::new();
    for source in sources("src") {
        let layer = source.path.split('/').nth(1).unwrap_or_default();
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == layer) else { continue };
        for (number, line) in code(&source) {
            for import in line.split("crate::").skip(1) {
                let name: String = import.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let name = name.as_str();
                if !name.is_empty() && name != layer && !GROUND.contains(&name) && !allowed.contains(&name) {
                    findings.push(format!("{}:{number}: {layer} imports {name}", source.path));
                }
            }
        }
    }
    report(findings);
}

#[test]
fn no_more_than_two_files_import_each_other_in_a_circle() {
    let sources: Vec<Source> = sources("src").into_iter().filter(|source| code(source).next().is_some()).collect();
    let modules: BTreeMap<Vec<&str>, usize> =
        sources.iter().enumerate().map(|(i, source)| (module(&source.path), i)).collect();
    let imports: Vec<BTreeSet<usize>> = sources
        .iter()
        .enumerate()
        .map(|(i, source)| {
            let text: String = code(source).map(|(_, line)| line.to_owned() + "\n").collect();
            let home = module(&source.path);
            let named = paths(&text).into_iter().filter_map(|path| {
                let path = absolute(&home, &path)?;
                (1..=path.len()).rev().find_map(|len| modules.get(&path[..len]).copied())
            });
            named.filter(|other| *other != i).collect()
        })
        .collect();
    // What a file reaches, and is reached by, is in one circle with it.
    let reach: Vec<BTreeSet<usize>> = (0..sources.len())
        .map(|from| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
            while let Some(file) = next.pop() {
                next.extend(imports[file].iter().filter(|file| seen.insert(**file)));
            }
            seen
        })
        .collect();
    let circles: BTreeSet<Vec<usize>> = (0..sources.len())
        .map(|one| {
            (0..sources.len()).filter(|&other| reach[one].contains(&other) && reach[other].contains(&one)).collect()
        })
        .collect();
    let large = circles.into_iter().filter(|circle| circle.len() > 2);
    let named = large.map(|circle| circle.into_iter().map(|file| sources[file].path.as_str()).collect::<Vec<_>>());
    report(named.map(|circle| circle.join(" ")).collect());
}

/// Methods and fields that one type may have, over all files.
const METHODS_MAX: usize = 60;
const FIELDS_MAX: usize = 20;
/// Those that are being taken apart, and what they have no more than.
const LARGE: [(&str, usize, usize); 4] =
    [("SignallingEngine", 177, 23), ("HostedRoom", 96, 20), ("Peer", 20, 24), ("ShardState", 20, 21)];
/// Plain data with as many fields as its message or its file has.
const DATA: [&str; 6] = ["SignallingConfig", "Create", "RoomSpec", "Listed", "Config", "Settings"];

#[test]
fn no_type_has_too_many_methods_or_fields() {
    let (mut methods, mut fields) = (BTreeMap::new(), BTreeMap::new());
    let sources = sources("src");
    for source in &sources {
        let mut within = None;
        let layer = source.path.split('/').nth(1).unwrap_or_default();
        for (_, line) in code(source) {
            let item = line.strip_prefix("pub ").or(line.strip_prefix("pub(super) ")).unwrap_or(line);
            if let Some(head) = item.strip_prefix("impl") {
                within = head.split(" for ").last().map(|of| (&mut methods, (layer, named(of))));
            } else if let Some(head) = item.strip_prefix("struct ") {
                within = Some((&mut fields, (source.path.as_str(), named(head))));
            } else if line.starts_with('}') {
                within = None;
            }
            let Some((counts, name)) = &mut within else { continue };
            let inner = line.strip_prefix("    ").filter(|inner| !inner.starts_with(' ')).unwrap_or_default();
            let inner = inner.strip_prefix("pub ").or(inner.strip_prefix("pub(super) ")).unwrap_or(inner);
            let inner = inner.strip_prefix("pub(crate) ").or(inner.strip_prefix("const ")).unwrap_or(inner);
            let is_field = inner.split(':').next().is_some_and(|name| name.len() < inner.len() && !name.contains(' '));
            if inner.starts_with("fn ") || inner.starts_with("async fn ") || is_field && !inner.contains('(') {
                *counts.entry(*name).or_insert(0) += 1;
            }
        }
    }
    let large = |name: &str| LARGE.iter().find(|(of, ..)| *of == name).map(|(_, methods, fields)| (*methods, *fields));
    let mut findings = Vec::new();
    for (counts, what) in [(&methods, "methods"), (&fields, "fields")] {
        for ((_, name), &count) in counts.iter().filter(|((_, name), _)| !DATA.contains(name)) {
            let (methods, fields) = large(name).unwrap_or((METHODS_MAX, FIELDS_MAX));
            if count > if what == "methods" { methods } else { fields } {
                findings.push(format!("{name} has {count} {what}"));
            }
        }
    }
    report(findings);
}

/// The name of a type at the beginning of a text, its generics left out.
fn named(text: &str) -> &str {
    let text = text.trim_start();
    let text = if text.starts_with('<') { text.split_once("> ").map_or(text, |(_, of)| of) } else { text };
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The path of a file's module below the crate.
fn module(path: &str) -> Vec<&str> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').filter(|name| !matches!(*name, "mod" | "lib")).collect()
}

/// The paths that begin with `crate` or `super` in a text, those of `use` trees taken apart.
fn paths(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("crate::").chain(text.match_indices("super::")) {
        let is_begun = text[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        if !is_begun {
            expand("", &text[start..], &mut found);
        }
    }
    found
}

/// Takes one path or tree apart and returns what follows it.
fn expand<'t>(before: &str, text: &'t str, found: &mut Vec<String>) -> &'t str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let path = format!("{before}{name}");
    if !(path.ends_with("::") && rest.starts_with('{')) {
        found.push(path.trim_end_matches("::").into());
        return rest;
    }
    while let Some(inner) = rest.strip_prefix(['{', ',']) {
        let inner = inner.trim_start();
        if let Some(after) = inner.strip_prefix('}') {
            return after;
        }
        let after = expand(&path, inner, found).trim_start();
        let after =
            after.strip_prefix("as ").map_or(after, |alias| alias.trim_start_matches(|c: char| c != ',' && c != '}'));
        if let Some(after) = after.strip_prefix('}') {
            return after;
        }
        rest = after;
    }
    rest
}

/// A path from the crate's root; none when it leads out of it.
fn absolute<'p>(home: &[&'p str], path: &'p str) -> Option<Vec<&'p str>> {
    let mut names = path.split("::").peekable();
    let mut base = home.to_vec();
    if names.next_if_eq(&"crate").is_some() {
        base.clear();
    }
    while names.next_if_eq(&"super").is_some() {
        base.pop()?;
    }
    base.extend(names);
    Some(base)
}

#[test]
fn the_library_knows_no_machine() {
    let mut findings = Vec::new();
    for source in sources("src").iter().filter(|source| source.path != CLOCK_EDGE) {
        for (number, line) in code(source) {
            for word in MACHINE.iter().filter(|word| line.contains(**word)) {
                findings.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    report(findings);
}

#[test]
fn the_program_knows_no_protocol() {
    let mut findings = Vec::new();
    for source in sources("shards") {
        for (number, line) in code(&source) {
            for inner in ["portunus::wire::stun", "portunus::wire::rtp", "portunus::wire::rtcp", "portunus::wire::sdp"]
            {
                if line.contains(inner) {
                    findings.push(format!("{}:{number}: {inner}", source.path));
                }
            }
        }
    }
    report(findings);
}

#[test]
fn unsafe_code_stands_only_at_the_edges_and_says_why_it_is_sound() {
    let mut findings = Vec::new();
    for source in sources("src").into_iter().chain(sources("shards")) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, line) in code(&source) {
            let opens = line.contains("unsafe {") || line.contains("unsafe impl");
            let reasoned = lines[..number - 1].iter().rev().take(8).any(|above| above.contains("SAFETY:"));
            if opens && !reasoned {
                findings.push(format!("{}:{number}: no SAFETY", source.path));
            }
            if opens && source.path.starts_with("src") && source.path != CLOCK_EDGE {
                findings.push(format!("{}:{number}: unsafe in the library", source.path));
            }
        }
    }
    report(findings);
}

#[test]
fn no_marker_of_unfinished_work_stays() {
    let mut findings = Vec::new();
    for source in ["src", "shards", "tests", "perf"].into_iter().flat_map(sources) {
        for (i, line) in source.text.lines().enumerate() {
            for marker in MARKERS.iter().filter(|marker| line.contains(**marker)) {
                findings.push(format!("{}:{}: {marker}", source.path, i + 1));
            }
        }
    }
    report(findings);
}

#[test]
fn every_file_says_what_it_holds_and_stays_readable() {
    let mut findings = Vec::new();
    for source in sources("src").into_iter().chain(sources("shards")) {
        if !source.text.starts_with("//!") {
            findings.push(format!("{}: no header", source.path));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{}: {lines} lines", source.path));
        }
        for name in ["utils", "helpers", "common", "misc"] {
            if source.path.contains(name) {
                findings.push(format!("{}: a name for nothing", source.path));
            }
        }
    }
    report(findings);
}

/// Fields and variants need no line of their own where the name says it all.
#[test]
fn what_a_file_offers_is_documented() {
    let mut findings = Vec::new();
    let kinds = ["fn ", "const fn ", "struct ", "enum ", "trait "];
    for source in sources("src") {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, line) in code(&source) {
            let offered = line.strip_prefix("pub ");
            let item = offered.is_some_and(|item| kinds.iter().any(|kind| item.starts_with(kind)));
            let mut above = lines[..number - 1].iter().rev().map(|line| line.trim());
            let text = above.find(|line| !(line.starts_with("#[") || line.ends_with(")]")));
            if item && !text.is_some_and(|text| text.starts_with("///")) {
                findings.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    report(findings);
}

#[test]
fn the_map_in_the_readme_has_a_line_for_every_folder() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let map =
        readme.split("### The map of the tree").nth(1).expect("the README has a map").split("```").nth(1).unwrap();
    let shown: Vec<&str> = map.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let mut folders: Vec<String> = sources("src").into_iter().chain(sources("shards")).filter_map(folder).collect();
    folders.sort();
    folders.dedup();
    let lacking = folders.iter().filter(|folder| !shown.contains(&folder.as_str()));
    let mut findings: Vec<_> = lacking.map(|folder| format!("README.md: the map lacks {folder}")).collect();
    let code = shown.iter().filter(|folder| folder.starts_with("src") || folder.starts_with("shards"));
    let stray = code.filter(|folder| !folders.iter().any(|of| of == *folder));
    findings.extend(stray.map(|folder| format!("README.md: the map shows {folder}, which is not there")));
    report(findings);
}

/// Where a source is; none for what only tests need.
fn folder(source: Source) -> Option<String> {
    let folder = Path::new(&source.path).parent()?.to_string_lossy().into_owned() + "/";
    let holds_tests = folder.ends_with("/tests/") || source.path.ends_with("/tests.rs");
    (!holds_tests).then_some(folder)
}
