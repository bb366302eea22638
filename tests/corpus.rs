//! Every committed fuzz input runs through the body of its target: a crash that was found once stays found.

#[path = "fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::path::{Path, PathBuf};

use bodies::TARGETS;

/// The files of a folder in a fixed order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    files
}

#[test]
fn every_committed_input_passes_its_target() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for (name, run) in TARGETS {
        let mut inputs = files(&tests.join("fuzz/corpus").join(name));
        if name == "sdp" {
            inputs.extend(files(&tests.join("vectors/sdp")));
        }
        assert!(inputs.len() >= 3, "{name} has seeds");
        for path in inputs {
            let input = fs::read(&path).expect("a readable file");
            // The name of the input comes first: a panic below says what is wrong, not where.
            eprintln!("{name}: {}", path.file_name().unwrap_or_default().display());
            // Also cut anywhere: an input that ends early is an input.
            run(&input);
            run(&input[..input.len() / 2]);
        }
    }
}

#[test]
fn every_target_has_its_two_lines_for_the_fuzzer_and_every_corpus_its_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let stems = |folder: &str| -> Vec<String> {
        let stem = |path: PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        files(&fuzz.join(folder)).into_iter().map(stem).collect()
    };
    let names: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
}
