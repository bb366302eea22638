//! Two byte buffers that look like a socket, for libraries that want one: what came in is read until it is empty, what is
//! written collects until it is taken.

use std::io::{self, Read, Write};

/// The buffers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) input: Vec<u8>,
    read: usize,
    pub(super) output: Vec<u8>,
}

impl Memory {
    /// One whose `output` holds something already.
    pub(super) fn new(output: Vec<u8>) -> Memory {
        Memory { output, ..Memory::default() }
    }
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.input[self.read..];
        if rest.is_empty() {
            self.input.clear();
            self.read = 0;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.read += length;
        Ok(length)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
