//! Which tokens let participants into a room. The list is kept while it is not looked at.

use std::collections::BTreeSet;

use super::error::RoomError;
use crate::limits::TOKENS_BYTES_MAX;
use crate::secret::is_same;

/// What a token costs beside its bytes.
const TOKEN_OVERHEAD: usize = 32;

/// A room's `allowed`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    is_checked: bool,
    tokens: BTreeSet<Box<str>>,
}

impl AllowList {
    /// A list that is looked at.
    ///
    /// # Errors
    /// When it is longer than [`TOKENS_BYTES_MAX`].
    pub fn of(tokens: impl IntoIterator<Item = Box<str>>) -> Result<AllowList, RoomError> {
        let mut list = AllowList::default();
        list.check(true);
        list.add(tokens)?;
        Ok(list)
    }

    /// Looks at the tokens from now on, or no more.
    pub fn check(&mut self, check: bool) {
        self.is_checked = check;
    }

    /// These too.
    ///
    /// # Errors
    /// When the list would be longer than [`TOKENS_BYTES_MAX`]; nothing is added then.
    pub fn add(&mut self, tokens: impl IntoIterator<Item = Box<str>>) -> Result<(), RoomError> {
        let added: BTreeSet<Box<str>> = tokens.into_iter().filter(|token| !self.tokens.contains(token)).collect();
        if bytes(&self.tokens) + bytes(&added) > TOKENS_BYTES_MAX {
            return Err(RoomError::Exhausted("tokens of the room"));
        }
        self.tokens.extend(added);
        Ok(())
    }

    /// These no more.
    pub fn remove(&mut self, tokens: &[Box<str>]) {
        for token in tokens {
            self.tokens.remove(token);
        }
    }

    /// All of them, in order.
    pub fn tokens(&self) -> Vec<Box<str>> {
        self.tokens.iter().cloned().collect()
    }

    /// Whether they are looked at.
    pub fn is_checked(&self) -> bool {
        self.is_checked
    }

    /// Whether somebody with this token may come in.
    pub fn admits(&self, token: Option<&str>) -> bool {
        // Every token is compared: which one it was does not show in the time.
        let known = |token: &str| self.tokens.iter().fold(false, |found, one| is_same(one, token) | found);
        !self.is_checked || token.is_some_and(known)
    }
}

fn bytes(tokens: &BTreeSet<Box<str>>) -> usize {
    tokens.iter().map(|token| token.len() + TOKEN_OVERHEAD).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(tokens: &[&str]) -> AllowList {
        AllowList::of(tokens.iter().map(|token| (*token).into())).unwrap()
    }

    #[test]
    fn a_list_that_is_looked_at_admits_its_tokens_alone_and_an_empty_one_nobody() {
        let mut list = list(&["a", "b"]);
        assert!(list.admits(Some("a")) && list.admits(Some("b")));
        assert!(!list.admits(Some("c")) && !list.admits(Some("")) && !list.admits(None));
        list.remove(&["a".into(), "b".into(), "z".into()]);
        assert!(!list.admits(Some("a")) && !list.admits(None));
    }

    #[test]
    fn a_list_that_is_not_looked_at_is_kept() {
        let mut list = list(&["b", "a"]);
        list.check(false);
        assert!(list.admits(None));
        assert_eq!(list.tokens(), ["a".into(), "b".into()]);
        list.check(true);
        assert!(!list.admits(None) && list.admits(Some("a")));
    }

    #[test]
    fn a_list_has_an_end_and_what_would_pass_it_changes_nothing() {
        let mut list = AllowList::default();
        let long = |n: usize| -> Box<str> { format!("{n:01000}").into() };
        let fit = TOKENS_BYTES_MAX / (1000 + TOKEN_OVERHEAD);
        list.add((0..fit).map(long)).unwrap();
        list.add([long(0)]).unwrap();
        assert_eq!(list.add([long(fit)]), Err(RoomError::Exhausted("tokens of the room")));
        assert_eq!(list.tokens().len(), fit);
    }
}
