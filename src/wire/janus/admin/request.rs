//! The elements of an operator's verbs, checked in the order in which Janus does.

use simd_json::borrowed::Value;

use crate::wire::janus::error::CoreError;
use crate::wire::janus::field::{Field, FieldError, Fields, Kind};

/// Janus' level of ordinary lines.
const LOG_LEVEL: u8 = 4;

/// The secret, unless it is no string.
pub fn secret(fields: Fields<'_>) -> Option<&str> {
    fields.text("admin_secret")
}

/// Whether a request means to be an operator's.
pub fn has_secret(fields: Fields<'_>) -> bool {
    fields.value("admin_secret").is_some()
}

/// A number that must be there and fit.
pub fn natural<T: TryFrom<u64>>(fields: Fields<'_>, name: &'static str) -> Result<T, CoreError> {
    let given = fields.check(&[Field::required(name, Kind::Natural)])?.natural(name).unwrap_or_default();
    T::try_from(given).map_err(|_| CoreError::Element(name, "a smaller integer"))
}

/// A flag that must be there.
pub fn flag(fields: Fields<'_>, name: &'static str) -> Result<bool, CoreError> {
    Ok(fields.check(&[Field::required(name, Kind::Flag)])?.flag(name).unwrap_or_default())
}

/// A text that must be there.
pub fn text<'v>(fields: Fields<'v>, name: &'static str) -> Result<&'v str, CoreError> {
    Ok(fields.check(&[Field::required(name, Kind::Text)])?.text(name).unwrap_or_default())
}

/// `level` of `set_log_level`: 0 to 7.
pub fn level(fields: Fields<'_>) -> Result<u8, CoreError> {
    match natural(fields, "level") {
        Ok(level @ 0..=7) => Ok(level),
        Ok(_) | Err(CoreError::Element(..)) => Err(CoreError::Element("level", "between 0 and 7")),
        Err(error) => Err(error),
    }
}

/// `timeout` of one session, in seconds; none for -1, which gives it everybody's again.
pub fn session_timeout(fields: Fields<'_>) -> Result<Option<u64>, CoreError> {
    match fields.check(&[Field::required("timeout", Kind::Integer)])?.integer("timeout") {
        Some(-1) => Ok(None),
        timeout => match timeout.map(u64::try_from) {
            Some(Ok(seconds)) => Ok(Some(seconds)),
            _ => Err(CoreError::Element("timeout", "a non-negative integer or -1")),
        },
    }
}

/// `line` and `level` of `custom_logline`.
pub fn log_line(fields: Fields<'_>) -> Result<(&str, u8), CoreError> {
    let table = [Field::required("line", Kind::Label), Field::optional("level", Kind::Natural)];
    let fields = fields.check(&table)?;
    let level = if fields.value("level").is_some() { level(fields)? } else { LOG_LEVEL };
    Ok((fields.text("line").unwrap_or_default(), level))
}

/// `schema` and `data` of `custom_event`.
pub fn event<'v>(fields: Fields<'v>) -> Result<(&'v str, &'v Value<'v>), CoreError> {
    let fields = fields.check(&[Field::required("schema", Kind::Text), Field::required("data", Kind::Object)])?;
    let data = fields.value("data").ok_or(FieldError::Missing("data"))?;
    Ok((fields.text("schema").unwrap_or_default(), data))
}

/// `plugin` and `request` of `message_plugin`, or the same of a transport, event handler or logger.
pub fn query<'v>(fields: Fields<'v>, name: &'static str) -> Result<(&'v str, &'v Value<'v>), CoreError> {
    let fields = fields.check(&[Field::required(name, Kind::Text), Field::required("request", Kind::Object)])?;
    let request = fields.value("request").ok_or(FieldError::Missing("request"))?;
    Ok((fields.text(name).unwrap_or_default(), request))
}

/// Where a capture goes, and how much of each packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureFile<'v> {
    /// Names of folders, from the outer to the inner; none is a way out.
    pub folder: Vec<&'v str>,
    /// The file's name; none is for us to choose.
    pub name: Option<&'v str>,
    /// Bytes of each packet to keep; 0 is all.
    pub truncate: u64,
}

impl<'v> CaptureFile<'v> {
    /// Reads `folder`, `filename` and `truncate`.
    pub fn parse(fields: Fields<'v>) -> Result<CaptureFile<'v>, CoreError> {
        let table = [
            Field::optional("folder", Kind::Line),
            Field::optional("filename", Kind::Line),
            Field::optional("truncate", Kind::Natural),
        ];
        let fields = fields.check(&table)?;
        let folder: Vec<&str> = fields.text("folder").map(|text| text.split('/').collect()).unwrap_or_default();
        if !folder.iter().all(|name| is_file_name(name)) {
            return Err(CoreError::Element("folder", "a relative path below the configured folder"));
        }
        let name = fields.text("filename");
        if name.is_some_and(|name| !is_file_name(name)) {
            return Err(CoreError::Element("filename", "a name without a path"));
        }
        Ok(CaptureFile { folder, name, truncate: fields.natural("truncate").unwrap_or_default() })
    }
}

/// Whether a name stays where it is put: `.`, `..` and hidden files do not count.
fn is_file_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

/// `token` and `plugins` of the token verbs.
#[derive(Clone, Copy, Debug)]
pub struct Token<'v> {
    /// The token; never empty.
    pub token: &'v str,
    plugins: Option<&'v [Value<'v>]>,
}

impl<'v> Token<'v> {
    /// Reads either; whether there must be `plugins` depends on the verb.
    pub fn parse(fields: Fields<'v>) -> Result<Token<'v>, CoreError> {
        let fields = fields.check(&[Field::required("token", Kind::Text), Field::optional("plugins", Kind::Array)])?;
        let token = fields.text("token").filter(|token| !token.is_empty());
        let token = token.ok_or(CoreError::Element("token", "a non-empty string"))?;
        Ok(Token { token, plugins: fields.array("plugins") })
    }

    /// Those of `known` that are named; none when there is no list or an empty one. What else is named is passed over.
    pub fn named(&self, known: &[&str]) -> Option<Vec<Box<str>>> {
        let plugins = self.plugins.filter(|plugins| !plugins.is_empty())?;
        let named =
            |plugin: &&&str| plugins.iter().any(|given| matches!(given, Value::String(text) if text == *plugin));
        Some(known.iter().filter(named).map(|plugin| Box::from(*plugin)).collect())
    }

    /// All that are named, where there must be some and only such as are known.
    pub fn all_named(&self, known: &[&str]) -> Result<Vec<Box<str>>, CoreError> {
        let named = self.named(known).ok_or(CoreError::Element("plugins", "a non-empty array"))?;
        let is_known = |given: &Value<'_>| matches!(given, Value::String(text) if known.contains(&&**text));
        if self.plugins.unwrap_or_default().iter().all(is_known) { Ok(named) } else { Err(CoreError::InvalidPlugins) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::janus::field::Ids;

    fn on<R>(text: &str, read: impl FnOnce(Fields<'_>) -> R) -> R {
        let mut bytes = text.as_bytes().to_vec();
        let document = simd_json::to_borrowed_value(&mut bytes).unwrap();
        read(Fields::of(&document, Ids::Numbers).unwrap())
    }

    fn told<T>(result: Result<T, CoreError>) -> Result<T, (u16, String)> {
        result.map_err(|error| (error.code(), error.to_string()))
    }

    #[test]
    fn numbers_have_their_ranges() {
        let level = |text: &str| on(text, |fields| told(level(fields)));
        assert_eq!(level(r#"{"level":7}"#), Ok(7));
        for text in [r#"{"level":8}"#, r#"{"level":300}"#] {
            assert_eq!(level(text), Err((467, "Invalid element type (level should be between 0 and 7)".into())));
        }
        assert_eq!(level("{}").unwrap_err().0, 456);
        let timeout = |text: &str| on(text, |fields| told(session_timeout(fields)));
        assert_eq!(timeout(r#"{"timeout":-1}"#), Ok(None));
        assert_eq!(timeout(r#"{"timeout":0}"#), Ok(Some(0)));
        let reason = "Invalid element type (timeout should be a non-negative integer or -1)";
        assert_eq!(timeout(r#"{"timeout":-2}"#), Err((467, reason.into())));
        let small = |text: &str| on(text, |fields| told(natural::<u32>(fields, "n")));
        assert_eq!(small(r#"{"n":4294967295}"#), Ok(u32::MAX));
        assert_eq!(small(r#"{"n":4294967296}"#).unwrap_err().0, 467);
    }

    #[test]
    fn captures_stay_below_their_folder() {
        let parse = |text: &str| {
            on(text, |fields| {
                let file = CaptureFile::parse(fields).map_err(|error| error.code())?;
                Ok((file.folder.join(">"), file.name.map(String::from), file.truncate))
            })
        };
        assert_eq!(parse("{}"), Ok((String::new(), None, 0)));
        let text = r#"{"folder":"a/b","filename":"c.pcap","truncate":64}"#;
        assert_eq!(parse(text), Ok(("a>b".into(), Some("c.pcap".into()), 64)));
        for name in ["", "/", "/etc", "..", "a/../../b", "a//b", "./a", "a\\u0000b"] {
            assert_eq!(parse(&format!(r#"{{"folder":"{name}"}}"#)), Err(467), "{name}");
            assert_eq!(parse(&format!(r#"{{"filename":"{name}"}}"#)), Err(467), "{name}");
        }
        assert_eq!(parse(r#"{"filename":"a/b"}"#), Err(467));
        assert_eq!(parse(r#"{"truncate":-1}"#), Err(467));
    }

    #[test]
    fn tokens_are_given_plugins_that_are_known() {
        let known = ["p", "q"];
        let named = |text: &str| on(text, |fields| Token::parse(fields).unwrap().named(&known));
        assert_eq!(named(r#"{"token":"t"}"#), None);
        assert_eq!(named(r#"{"token":"t","plugins":[]}"#), None);
        assert_eq!(named(r#"{"token":"t","plugins":[7,"q","r"]}"#), Some(vec!["q".into()]));
        let all = |text: &str| on(text, |fields| told(Token::parse(fields).unwrap().all_named(&known)));
        assert_eq!(all(r#"{"token":"t","plugins":["q"]}"#), Ok(vec!["q".into()]));
        let reason = "Invalid element type (plugins should be a non-empty array)";
        assert_eq!(all(r#"{"token":"t"}"#), Err((467, reason.into())));
        assert_eq!(all(r#"{"token":"t","plugins":["q",7]}"#), Err((467, CoreError::InvalidPlugins.to_string())));
        let code = |text: &str| on(text, |fields| Token::parse(fields).map(drop).map_err(|error| error.code()));
        assert_eq!([r#"{}"#, r#"{"token":7}"#, r#"{"token":""}"#].map(code), [Err(456), Err(467), Err(467)]);
    }
}
