//! Configuration files of Janus: whatever is in one, it is read or refused with a line that exists.

use portunus::wire::jcfg::{Group, Value, parse};

/// One file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse(text) {
        Ok(read) => visit(&read.group, 0),
        Err(error) => assert!((1..=text.matches('\n').count() + 1).contains(&error.line), "{error}"),
    }
}

fn visit(group: &Group, depth: usize) {
    for (name, value) in group.iter() {
        assert_eq!(group.get(name), Some(value), "no name is there twice");
        look(value, depth + 1);
    }
}

fn look(value: &Value, depth: usize) {
    assert!(depth <= 64);
    match value {
        Value::Group(group) => visit(group, depth),
        Value::List(list) => list.iter().for_each(|value| look(value, depth + 1)),
        scalar => assert!(scalar.scalar().is_some()),
    }
}
