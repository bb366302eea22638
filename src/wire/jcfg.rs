//! Janus' configuration files: the grammar of libconfig, which is groups, arrays, lists and scalars under names. What the
//! names mean is not known here, and `@include` is left to whoever reads files: here it is an error like any other. A name
//! that is there twice is no error, as it is to libconfig: the first is taken and the other told.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;
use std::string::FromUtf8Error;

/// Groups, arrays and lists in one another; libconfig has no bound.
const DEPTH_MAX: usize = 32;

/// The value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `true` or `false`, in any case.
    Bool(bool),
    /// Decimal or hexadecimal, with or without `L`.
    Integer(i64),
    /// With a point or an exponent.
    Float(f64),
    /// Quoted; neighbours are joined.
    Text(String),
    /// `[ ]` or `( )`: libconfig wants scalars of one kind in the former, Janus does not care.
    List(Vec<Value>),
    /// `{ }`
    Group(Group),
}

/// Settings by name, in the order of the file; no name twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group(Vec<(String, Value)>);

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JcfgError {
    /// Where, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for JcfgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for JcfgError {}

/// A file that could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Jcfg {
    /// What is in it.
    pub group: Group,
    /// Settings whose name their group had before, by line; they are not in it.
    pub repeated: Vec<(usize, String)>,
}

impl Group {
    /// Adds a setting, in the place of one of that name if there is one.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The group of a name, if that is one.
    pub fn group(&self, name: &str) -> Option<&Group> {
        match self.get(name)? {
            Value::Group(group) => Some(group),
            _ => None,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl Value {
    /// A scalar as Janus reads it: as a text, whatever its kind.
    pub fn scalar(&self) -> Option<String> {
        match self {
            Value::Bool(value) => Some(value.to_string()),
            Value::Integer(value) => Some(value.to_string()),
            Value::Float(value) => Some(value.to_string()),
            Value::Text(value) => Some(value.clone()),
            Value::List(_) | Value::Group(_) => None,
        }
    }
}

/// Reads a whole file.
pub fn parse(text: &str) -> Result<Jcfg, JcfgError> {
    let mut parser = Parser { text, rest: text.char_indices().peekable(), depth: 0, repeated: Vec::new() };
    let group = parser.settings(None)?;
    Ok(Jcfg { group, repeated: parser.repeated })
}

struct Parser<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
    depth: usize,
    repeated: Vec<(usize, String)>,
}

impl Parser<'_> {
    fn at(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn line(&mut self) -> usize {
        let at = self.at();
        self.text[..at].matches('\n').count() + 1
    }

    fn wrong<T>(&mut self, what: &'static str) -> Result<T, JcfgError> {
        Err(JcfgError { line: self.line(), what })
    }

    /// The next character that is neither white space nor comment, still to be taken.
    fn next(&mut self) -> Result<Option<char>, JcfgError> {
        loop {
            let at = self.at();
            let rest = &self.text[at..];
            let length = if rest.starts_with('#') || rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if let Some(comment) = rest.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(end) => end + 4,
                    None => return self.wrong("a comment without an end"),
                }
            } else {
                let first = rest.chars().next();
                match first.filter(|first| first.is_whitespace()) {
                    Some(space) => space.len_utf8(),
                    None => return Ok(first),
                }
            };
            self.skip_to(at + length);
        }
    }

    fn skip_to(&mut self, end: usize) {
        while self.rest.next_if(|(at, _)| *at < end).is_some() {}
    }

    /// Takes a character if it comes next.
    fn take(&mut self, wanted: &[char]) -> Result<bool, JcfgError> {
        let is_next = self.next()?.is_some_and(|next| wanted.contains(&next));
        if is_next {
            self.rest.next();
        }
        Ok(is_next)
    }

    /// Characters of a word: names, numbers, booleans.
    fn word(&mut self) -> &str {
        let start = self.at();
        while self.rest.next_if(|(_, next)| next.is_ascii_alphanumeric() || "-+._*".contains(*next)).is_some() {}
        let end = self.at();
        &self.text[start..end]
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, JcfgError>) -> Result<T, JcfgError> {
        if self.depth == DEPTH_MAX {
            return self.wrong("nested too deep");
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// Settings up to the end of their group, or of the file.
    fn settings(&mut self, end: Option<char>) -> Result<Group, JcfgError> {
        let mut group = Group::default();
        loop {
            let next = self.next()?;
            if next == end {
                self.rest.next();
                return Ok(group);
            }
            if next.is_none() {
                return self.wrong("a group without an end");
            }
            let name = self.word().to_owned();
            if !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*') {
                return self.wrong("not the name of a setting");
            }
            let line = self.line();
            if !self.take(&['=', ':'])? {
                return self.wrong("a name without a value");
            }
            let value = self.value()?;
            self.take(&[';', ','])?;
            match group.get(&name) {
                Some(_) => self.repeated.push((line, name)),
                None => group.0.push((name, value)),
            }
        }
    }

    fn value(&mut self) -> Result<Value, JcfgError> {
        match self.next()? {
            Some('{') => {
                self.rest.next();
                self.deeper(|parser| parser.settings(Some('}'))).map(Value::Group)
            }
            Some('[') => {
                self.rest.next();
                self.deeper(|parser| parser.list(']'))
            }
            Some('(') => {
                self.rest.next();
                self.deeper(|parser| parser.list(')'))
            }
            Some('"') => self.text().map(Value::Text),
            _ => {
                let word = self.word().to_owned();
                scalar(&word).map_or_else(|| self.wrong("not a value"), Ok)
            }
        }
    }

    fn list(&mut self, end: char) -> Result<Value, JcfgError> {
        let mut list = Vec::new();
        while !self.take(&[end])? {
            list.push(self.value()?);
            if !self.take(&[','])? && self.next()? != Some(end) {
                return self.wrong("a list without an end");
            }
        }
        Ok(Value::List(list))
    }

    /// One quoted text and the ones that follow at once. Escaped bytes are UTF-8, or else Latin-1.
    fn text(&mut self) -> Result<String, JcfgError> {
        let mut text = Vec::new();
        while self.take(&['"'])? {
            loop {
                match self.rest.next() {
                    Some((_, '"')) => break,
                    Some((_, '\\')) => self.escaped(&mut text)?,
                    Some((_, other)) => text.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
                    None => return self.wrong("a text without an end"),
                }
            }
        }
        let latin1 = |error: FromUtf8Error| error.into_bytes().into_iter().map(char::from).collect();
        Ok(String::from_utf8(text).unwrap_or_else(latin1))
    }

    fn escaped(&mut self, text: &mut Vec<u8>) -> Result<(), JcfgError> {
        match self.rest.next() {
            Some((_, 'n')) => text.push(b'\n'),
            Some((_, 'r')) => text.push(b'\r'),
            Some((_, 't')) => text.push(b'\t'),
            Some((_, 'f')) => text.push(0xc),
            Some((_, 'x')) => {
                let mut digit = || {
                    let digit = self.rest.next_if(|(_, next)| next.is_ascii_hexdigit())?.1.to_digit(16)?;
                    u8::try_from(digit).ok()
                };
                match (digit(), digit()) {
                    (Some(high), Some(low)) => text.push(high * 16 + low),
                    _ => return self.wrong("not two hexadecimal digits"),
                }
            }
            Some((_, other)) => text.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            None => return self.wrong("a text without an end"),
        }
        Ok(())
    }
}

fn scalar(word: &str) -> Option<Value> {
    for value in [true, false] {
        if word.eq_ignore_ascii_case(if value { "true" } else { "false" }) {
            return Some(Value::Bool(value));
        }
    }
    let digits = word.strip_suffix("LL").or(word.strip_suffix('L')).unwrap_or(word);
    let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    if let Some(number) = hexadecimal.map(|digits| u64::from_str_radix(digits, 16)) {
        return number.ok()?.try_into().ok().map(Value::Integer);
    }
    if let Ok(number) = digits.parse() {
        return Some(Value::Integer(number));
    }
    // No `inf` and no `nan`, which Rust reads and libconfig does not, and no integer that is too long.
    let is_float = !word.contains(|other: char| !other.is_ascii_digit() && !"+-.eE".contains(other));
    let is_float = is_float && word.contains(['.', 'e', 'E']);
    word.parse().ok().filter(|number: &f64| is_float && number.is_finite()).map(Value::Float)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> Option<Value> {
        parse(&format!("x = {text}")).ok()?.group.get("x").cloned()
    }

    #[test]
    fn settings_end_as_they_like_and_groups_nest() {
        let text = "a = 1; b: \"x\", c = true d : { e = [1, 2,]; f = ( \"y\", { g = 3 } ) }";
        let group = parse(text).unwrap().group;
        assert_eq!(group.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        let inner = group.group("d").unwrap();
        assert_eq!(inner.get("e"), Some(&Value::List(vec![Value::Integer(1), Value::Integer(2)])));
        let Some(Value::List(list)) = inner.get("f") else { panic!("{inner:?}") };
        assert!(matches!(&list[1], Value::Group(group) if group.get("g") == Some(&Value::Integer(3))));
    }

    #[test]
    fn comments_of_all_three_kinds_are_white_space() {
        let group = parse("# a = 1\n// b = 2\n/* c = 3\n */ d /* here */ = # there\n 4 // end").unwrap().group;
        assert_eq!(group, Group(vec![("d".into(), Value::Integer(4))]));
    }

    #[test]
    fn scalars_are_of_their_kind() {
        for (text, expected) in [
            ("TRUE", Value::Bool(true)),
            ("-7", Value::Integer(-7)),
            ("0x1F", Value::Integer(31)),
            ("9007199254740993L", Value::Integer(9_007_199_254_740_993)),
            ("5LL", Value::Integer(5)),
            ("1.5", Value::Float(1.5)),
            ("1e3", Value::Float(1000.0)),
            ("\"a\\n\\\"\\\\\\x41\" \"b\"\n # between\n \"c\"", Value::Text("a\n\"\\Abc".into())),
            ("\"\"", Value::Text(String::new())),
            ("\"\\xc3\\xbc\"", Value::Text("\u{fc}".into())),
            ("\"\\xfc\"", Value::Text("\u{fc}".into())),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
        for text in ["yes", "inf", "nan", "1.2.3", "--1", "\"a", "\"\\xfg\"", "99999999999999999999", "[1 2]", "{", ""]
        {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn a_scalar_is_a_text_to_janus() {
        assert_eq!(Value::Integer(5).scalar().as_deref(), Some("5"));
        assert_eq!(Value::Bool(true).scalar().as_deref(), Some("true"));
        assert_eq!(Value::List(vec![]).scalar(), None);
    }

    #[test]
    fn an_error_names_its_line() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(error("a = 1\nb = ,\n"), "line 2: not a value");
        assert_eq!(error("@include \"x\""), "line 1: not the name of a setting");
        assert_eq!(error("a { }"), "line 1: a name without a value");
        assert_eq!(error("a : {\n b = 1\n"), "line 3: a group without an end");
        assert_eq!(error("/* a"), "line 1: a comment without an end");
        assert_eq!(error("} a = 1"), "line 1: not the name of a setting");
    }

    #[test]
    fn of_two_settings_of_one_name_the_first_is_taken_and_the_other_told() {
        let read = parse("a = 1\nb : {\n c = 2\n}\n\nb : {\n c = 3\n}\nd : { e = 4\n e = 5 }").unwrap();
        assert_eq!(read.group.group("b").unwrap().get("c"), Some(&Value::Integer(2)));
        assert_eq!(read.group.group("d").unwrap().get("e"), Some(&Value::Integer(4)));
        assert_eq!(read.repeated, [(6, "b".to_owned()), (10, "e".to_owned())]);
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("x = {}{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(parse(&nested(DEPTH_MAX + 1)).unwrap_err().what, "nested too deep");
        assert!(parse(&nested(100_000)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn whatever_it_is_it_is_read_or_refused_at_a_line_that_is_there(
            text in "([a-c]{1,3} ?[=:] ?|[-+]?[0-9]{1,3}[.eL]?|0x[0-9a-f]|\"[a-z\\\\\"\n]{0,5}\"?|[]{}()\\[;, \n]|#|//|/[*]|[*]/|true|\u{e9}){0,24}"
        ) {
            if let Err(error) = parse(&text) {
                assert!((1..=text.matches('\n').count() + 1).contains(&error.line), "{error}: {text:?}");
            }
        }
    }
}
