//! The bounds-checked cursor that every parser reads through: it cannot run past the end.

use super::error::WireError;

/// A cursor over borrowed bytes. Multi-byte integers are in network order.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// Takes `len` bytes; `what` names the element in the error.
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(WireError::Truncated(what))?;
        self.rest = tail;
        Ok(head)
    }

    /// Takes a fixed-size array.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated(what))?;
        self.rest = tail;
        Ok(*head)
    }

    /// Takes one byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, WireError> {
        Ok(self.array::<1>(what)?[0])
    }

    /// Takes a 16-bit integer.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.array(what)?))
    }

    /// Takes a 24-bit integer.
    pub fn u24(&mut self, what: &'static str) -> Result<u32, WireError> {
        let [a, b, c] = self.array(what)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Takes a 32-bit integer.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.array(what)?))
    }

    /// Takes a 64-bit integer.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, WireError> {
        Ok(u64::from_be_bytes(self.array(what)?))
    }

    /// A reader of the next `len` bytes, which are consumed here.
    pub fn sub(&mut self, len: usize, what: &'static str) -> Result<Reader<'a>, WireError> {
        Ok(Reader::new(self.take(len, what)?))
    }

    /// What has not been read, consumed.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// How many bytes are left.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Refuses bytes that were not read.
    pub fn finish(self, what: &'static str) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Trailing(what)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_past_the_end_names_the_element_and_consumes_nothing() {
        let mut r = Reader::new(&[1, 2, 3]);
        assert_eq!(r.u16("head"), Ok(0x0102));
        assert_eq!(r.u16("tail"), Err(WireError::Truncated("tail")));
        assert_eq!(r.u8("last"), Ok(3));
        assert_eq!(r.finish("all"), Ok(()));
    }

    #[test]
    fn leftover_bytes_are_an_error_one_chooses_to_see() {
        let mut r = Reader::new(&[0, 0, 1, 9]);
        assert_eq!(r.u24("x"), Ok(1));
        assert_eq!(r.finish("x"), Err(WireError::Trailing("x")));
    }
}
