//! Field tables: each request declares its elements once (name, kind, required), and the first one in that order that is
//! missing or has another type is the error. The core and the plugin share this and differ only in their codes.

use std::fmt;

use simd_json::StaticNode;
use simd_json::borrowed::{Object, Value};

use crate::id::Name;
use crate::limits::{DESCRIPTION_BYTES_MAX, LABEL_BYTES_MAX, NAME_BYTES_MAX};

/// What an element must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string without control characters: it may come to stand in an SDP, a header, a log or the name of a file.
    Text,
    /// A string of any characters, which is read here or goes back to who sent it, and nowhere else.
    Raw,
    /// A string that is kept and shown to others as JSON alone: at most [`LABEL_BYTES_MAX`] bytes.
    Label,
    /// A string that describes a room or a stream: at most [`DESCRIPTION_BYTES_MAX`] bytes.
    Description,
    /// A string that is kept and may come to stand where [`Kind::Text`] may: bounded and without control characters.
    Line,
    /// `true` or `false`, nothing else.
    Flag,
    /// An integer that is not negative.
    Natural,
    Integer,
    Array,
    Object,
    /// A room's or participant's id: a natural number, or with `string_ids` a string of at most [`NAME_BYTES_MAX`] bytes.
    Id,
}

/// What ids are in this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ids {
    #[default]
    Numbers,
    /// `string_ids`
    Texts,
}

/// One row of a field table.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
}

impl Field {
    /// An element that must be there.
    pub const fn required(name: &'static str, kind: Kind) -> Field {
        Field { name, kind, required: true }
    }

    /// An element that may be absent, but not `null`.
    pub const fn optional(name: &'static str, kind: Kind) -> Field {
        Field { name, kind, required: false }
    }
}

/// What is wrong with the first wrong element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldError {
    /// It is not there.
    Missing(&'static str),
    /// It has another type; the kind is never [`Kind::Id`].
    Type(&'static str, Kind),
    /// It is longer than so many bytes.
    TooLong(&'static str, usize),
    /// It has control characters.
    Control(&'static str),
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldError::Missing(name) => write!(f, "Missing mandatory element ({name})"),
            FieldError::Type(name, kind) => write!(f, "Invalid element type ({name} should be {})", kind.phrase()),
            FieldError::TooLong(name, bytes) => write!(f, "Invalid element ({name} is longer than {bytes} bytes)"),
            FieldError::Control(name) => write!(f, "Invalid element ({name} has control characters)"),
        }
    }
}

impl FieldError {
    /// The text as part of a longer one: its first letter is small.
    pub(super) fn clause(self) -> String {
        let mut text = self.to_string();
        text.get_mut(..1).into_iter().for_each(str::make_ascii_lowercase);
        text
    }
}

impl Kind {
    fn phrase(self) -> &'static str {
        match self {
            Kind::Text | Kind::Raw | Kind::Label | Kind::Line | Kind::Description => "a string",
            Kind::Flag => "a boolean",
            Kind::Natural | Kind::Id => "a positive integer",
            Kind::Integer => "an integer",
            Kind::Array => "an array",
            Kind::Object => "an object",
        }
    }

    fn resolve(self, ids: Ids) -> Kind {
        match (self, ids) {
            (Kind::Id, Ids::Numbers) => Kind::Natural,
            (Kind::Id, Ids::Texts) => Kind::Text,
            (kind, _) => kind,
        }
    }

    /// The longest string of this kind, where there is a bound.
    fn bytes_max(self) -> Option<usize> {
        match self {
            Kind::Label | Kind::Line => Some(LABEL_BYTES_MAX),
            Kind::Description => Some(DESCRIPTION_BYTES_MAX),
            Kind::Id => Some(NAME_BYTES_MAX),
            _ => None,
        }
    }

    /// Whether a string of this kind may break lines.
    fn may_break_lines(self) -> bool {
        matches!(self, Kind::Raw | Kind::Label | Kind::Description)
    }

    fn fits(self, value: &Value<'_>) -> bool {
        match self {
            Kind::Text | Kind::Raw | Kind::Label | Kind::Line | Kind::Description => matches!(value, Value::String(_)),
            Kind::Flag => matches!(value, Value::Static(StaticNode::Bool(_))),
            Kind::Natural | Kind::Id => natural(value).is_some(),
            Kind::Integer => integer(value).is_some(),
            Kind::Array => matches!(value, Value::Array(_)),
            Kind::Object => matches!(value, Value::Object(_)),
        }
    }
}

/// The elements of one object. The typed readers answer `None` for what is absent or of another type: the table is
/// checked first.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'v> {
    object: &'v Object<'v>,
    ids: Ids,
}

impl<'v> Fields<'v> {
    /// The elements of `object`, unchecked.
    pub fn new(object: &'v Object<'v>, ids: Ids) -> Fields<'v> {
        Fields { object, ids }
    }

    /// Checks the elements in the table's order. What the table does not name is ignored.
    pub fn check(self, table: &[Field]) -> Result<Fields<'v>, FieldError> {
        for field in table {
            let kind = field.kind.resolve(self.ids);
            match self.object.get(field.name) {
                Some(value) if kind.fits(value) => {
                    let Value::String(text) = value else { continue };
                    if let Some(max) = field.kind.bytes_max().filter(|max| text.len() > *max) {
                        return Err(FieldError::TooLong(field.name, max));
                    }
                    if !kind.may_break_lines() && text.contains(char::is_control) {
                        return Err(FieldError::Control(field.name));
                    }
                }
                Some(_) => return Err(FieldError::Type(field.name, kind)),
                None if field.required => return Err(FieldError::Missing(field.name)),
                None => {}
            }
        }
        Ok(self)
    }

    /// The element as it is.
    pub fn value(self, name: &str) -> Option<&'v Value<'v>> {
        self.object.get(name)
    }

    /// A string.
    pub fn text(self, name: &str) -> Option<&'v str> {
        match self.object.get(name)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// A boolean.
    pub fn flag(self, name: &str) -> Option<bool> {
        match self.object.get(name)? {
            Value::Static(StaticNode::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// An integer that is not negative.
    pub fn natural(self, name: &str) -> Option<u64> {
        natural(self.object.get(name)?)
    }

    /// Any integer.
    pub fn integer(self, name: &str) -> Option<i64> {
        integer(self.object.get(name)?)
    }

    /// What ids are.
    pub fn ids(self) -> Ids {
        self.ids
    }

    /// An id of this server's kind.
    pub fn id(self, name: &str) -> Option<Name> {
        match self.ids {
            Ids::Numbers => self.natural(name).map(Name::Number),
            Ids::Texts => self.text(name).map(|text| Name::Text(text.into())),
        }
    }

    /// An array.
    pub fn array(self, name: &str) -> Option<&'v [Value<'v>]> {
        match self.object.get(name)? {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// An object.
    pub fn object(self, name: &str) -> Option<Fields<'v>> {
        Fields::of(self.object.get(name)?, self.ids)
    }

    /// The elements of a value that is an object.
    pub fn of(value: &'v Value<'v>, ids: Ids) -> Option<Fields<'v>> {
        match value {
            Value::Object(object) => Some(Fields { object, ids }),
            _ => None,
        }
    }

    /// The items of an array, each checked against the table. As in Janus, an item that is no object has no elements, so that
    /// the first required one is missing; where none is required it is told by its type, which Janus passes over.
    pub fn entries(
        self,
        name: &'static str,
        table: &'static [Field],
    ) -> impl Iterator<Item = Result<Fields<'v>, FieldError>> {
        let required = table.iter().find(|field| field.required);
        let no_object = required.map_or(FieldError::Type(name, Kind::Object), |field| FieldError::Missing(field.name));
        let items = self.array(name).unwrap_or_default();
        items.iter().map(move |item| Fields::of(item, self.ids).ok_or(no_object)?.check(table))
    }
}

// Janus' integers are signed 64-bit; what is larger is no integer to it.
fn integer(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Static(StaticNode::I64(number)) => Some(*number),
        Value::Static(StaticNode::U64(number)) => i64::try_from(*number).ok(),
        _ => None,
    }
}

fn natural(value: &Value<'_>) -> Option<u64> {
    integer(value).and_then(|number| u64::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Field] = &[
        Field::required("first", Kind::Text),
        Field::optional("second", Kind::Natural),
        Field::optional("third", Kind::Flag),
        Field::required("fourth", Kind::Id),
    ];

    fn check(text: &str, ids: Ids) -> Result<(), FieldError> {
        let mut bytes = text.as_bytes().to_vec();
        let value = simd_json::to_borrowed_value(&mut bytes).unwrap();
        Fields::of(&value, ids).unwrap().check(TABLE).map(drop)
    }

    #[test]
    fn the_first_failing_element_in_declared_order_is_the_error() {
        assert_eq!(check(r#"{"third":1,"second":-1}"#, Ids::Numbers), Err(FieldError::Missing("first")));
        assert_eq!(
            check(r#"{"third":1,"second":-1,"first":""}"#, Ids::Numbers),
            Err(FieldError::Type("second", Kind::Natural))
        );
        assert_eq!(check(r#"{"first":"","third":1}"#, Ids::Numbers), Err(FieldError::Type("third", Kind::Flag)));
        assert_eq!(check(r#"{"first":""}"#, Ids::Numbers), Err(FieldError::Missing("fourth")));
    }

    #[test]
    fn null_and_near_types_are_type_errors() {
        for wrong in ["null", "1.0", "\"1\"", "-1", "18446744073709551615", "[]"] {
            let text = format!(r#"{{"first":"a","second":{wrong},"fourth":1}}"#);
            assert_eq!(check(&text, Ids::Numbers), Err(FieldError::Type("second", Kind::Natural)), "{wrong}");
        }
        assert_eq!(check(r#"{"first":null,"fourth":1}"#, Ids::Numbers), Err(FieldError::Type("first", Kind::Text)));
    }

    #[test]
    fn ids_are_of_the_servers_kind_and_the_text_says_so() {
        assert_eq!(check(r#"{"first":"a","fourth":0}"#, Ids::Numbers), Ok(()));
        assert_eq!(check(r#"{"first":"a","fourth":"x"}"#, Ids::Texts), Ok(()));
        let error = check(r#"{"first":"a","fourth":"x"}"#, Ids::Numbers).unwrap_err();
        assert_eq!(error.to_string(), "Invalid element type (fourth should be a positive integer)");
        let error = check(r#"{"first":"a","fourth":7}"#, Ids::Texts).unwrap_err();
        assert_eq!(error.to_string(), "Invalid element type (fourth should be a string)");
    }

    #[test]
    fn texts_that_are_kept_are_bounded_and_others_are_not() {
        let table = [Field::optional("text", Kind::Text), Field::optional("label", Kind::Label)];
        let bounded = |name: &str, bytes: usize| {
            let mut text = format!(r#"{{"{name}":"{}"}}"#, "x".repeat(bytes)).into_bytes();
            let value = simd_json::to_borrowed_value(&mut text).unwrap();
            Fields::of(&value, Ids::Texts).unwrap().check(&table).map(drop)
        };
        assert_eq!(bounded("text", 1 << 20), Ok(()));
        assert_eq!(bounded("label", LABEL_BYTES_MAX), Ok(()));
        assert_eq!(bounded("label", 1 << 20), Err(FieldError::TooLong("label", LABEL_BYTES_MAX)));
        let long = format!(r#"{{"first":"a","fourth":"{}"}}"#, "x".repeat(NAME_BYTES_MAX + 1));
        assert_eq!(check(&long, Ids::Texts), Err(FieldError::TooLong("fourth", NAME_BYTES_MAX)));
    }

    #[test]
    fn an_item_that_is_no_object_lacks_what_is_required_first() {
        const OPTIONAL: &[Field] = &[Field::optional("a", Kind::Text)];
        const REQUIRED: &[Field] = &[Field::optional("a", Kind::Text), Field::required("b", Kind::Id)];
        let entries = |text: &str, table| {
            let mut text = format!(r#"{{"list":{text}}}"#).into_bytes();
            let value = simd_json::to_borrowed_value(&mut text).unwrap();
            let fields = Fields::of(&value, Ids::Numbers).unwrap();
            fields
                .entries("list", table)
                .map(|entry| entry.map(drop))
                .collect::<Result<Vec<()>, _>>()
                .map(|all| all.len())
        };
        for no_object in ["1", "null", "\"b\"", "[]", "{}"] {
            assert_eq!(entries(&format!("[{no_object}]"), REQUIRED), Err(FieldError::Missing("b")));
        }
        assert_eq!(entries(r#"[{"b":1},1]"#, REQUIRED), Err(FieldError::Missing("b")));
        assert_eq!(entries(r#"[{"a":1},1]"#, REQUIRED), Err(FieldError::Type("a", Kind::Text)), "in their order");
        assert_eq!(entries("[{},1]", OPTIONAL), Err(FieldError::Type("list", Kind::Object)));
        assert_eq!(entries(r#"[{"b":1},{"b":2,"a":""}]"#, REQUIRED), Ok(2));
        assert_eq!(entries("[]", REQUIRED), Ok(0));
    }

    #[test]
    fn what_may_stand_in_a_line_of_a_text_cannot_end_it() {
        let table = [
            Field::optional("text", Kind::Text),
            Field::optional("line", Kind::Line),
            Field::optional("label", Kind::Label),
            Field::optional("raw", Kind::Raw),
            Field::optional("id", Kind::Id),
        ];
        let check = |name: &str, text: &str| {
            let mut text = serde_json::json!({ name: text }).to_string().into_bytes();
            let value = simd_json::to_borrowed_value(&mut text).unwrap();
            Fields::of(&value, Ids::Texts).unwrap().check(&table).map(drop)
        };
        for control in ["x\r\na=candidate:1", "x\n", "\u{0}", "x\u{85}y", "\u{7f}"] {
            assert_eq!(check("text", control), Err(FieldError::Control("text")));
            assert_eq!(check("line", control), Err(FieldError::Control("line")));
            assert_eq!(check("id", control), Err(FieldError::Control("id")));
            assert_eq!(check("label", control), Ok(()));
            assert_eq!(check("raw", control), Ok(()));
        }
        assert_eq!(check("text", "Grüße aus Łódź"), Ok(()));
        let error = FieldError::Control("fmtp");
        assert_eq!(error.to_string(), "Invalid element (fmtp has control characters)");
    }

    #[test]
    fn unknown_elements_are_ignored() {
        assert_eq!(check(r#"{"first":"a","fourth":1,"fifth":null}"#, Ids::Numbers), Ok(()));
    }
}
