//! A ring of receive buffers that we provide and the kernel fills (IORING_REGISTER_PBUF_RING), and the layout of what
//! a multishot `recvmsg` writes into each: a header, the source address, control messages, the datagram.

use io_uring::types::BufRingEntry;
use portunus::limits::DATAGRAM_MAX;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// `struct io_uring_recvmsg_out`: lengths of name, control and payload, and flags.
const HEADER: usize = 16;
const NAME_MAX: usize = BufferRing::NAME_MAX;
const CONTROL_MAX: usize = BufferRing::CONTROL_MAX;
/// One buffer, of whole cache lines.
const BUFFER_SIZE: usize = (HEADER + NAME_MAX + CONTROL_MAX + DATAGRAM_MAX).next_multiple_of(64);
const PAGE: usize = 4096;

const _: () = assert!(size_of::<BufRingEntry>() == 16);

/// The buffers that all sockets of a ring share. Each is either the kernel's or ours.
pub struct BufferRing {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    /// By buffer: handed over by a completion and not given back yet.
    ours: Box<[bool]>,
    tail: u16,
    group: u16,
}

/// What one completion brought.
pub struct Block<'a> {
    /// The source: a `sockaddr`.
    pub name: &'a [u8],
    /// `cmsghdr`s and their data.
    pub control: &'a [u8],
    pub payload: &'a mut [u8],
    /// Whether the datagram was longer than the buffer.
    pub truncated: bool,
}

impl BufferRing {
    /// Room for the source: the longer of `sockaddr_in` and `sockaddr_in6`.
    pub const NAME_MAX: usize = 28;
    /// Room for two control messages: a `timespec` (16 bytes of header, 16 of data) and a `u32` (16 and 4, padded).
    pub const CONTROL_MAX: usize = 32 + 24;

    /// Takes the memory of `buffers` buffers as group number `group` and gives all of it to the kernel, once registered. The
    /// kernel demands a power of two.
    pub fn new(group: u16, buffers: u16) -> BufferRing {
        assert!(buffers.is_power_of_two());
        let mut ring = BufferRing {
            entries: allocate(entries_layout(buffers)).cast(),
            memory: allocate(memory_layout(buffers)),
            ours: vec![true; usize::from(buffers)].into_boxed_slice(),
            tail: 0,
            group,
        };
        for buffer in 0..buffers {
            ring.give_back(buffer);
        }
        ring
    }

    /// Address, count and group for the registration.
    pub(super) fn registration(&self) -> (u64, u16, u16) {
        (self.entries.as_ptr().expose_provenance() as u64, self.count(), self.group)
    }

    fn count(&self) -> u16 {
        u16::try_from(self.ours.len()).expect("as many as were asked for")
    }

    /// The group's number.
    pub fn group(&self) -> u16 {
        self.group
    }

    /// A completion has named `buffer`, filled with `len` bytes: it is ours until given back.
    pub fn open(&mut self, buffer: u16, len: usize) -> Option<Block<'_>> {
        let ours = &mut self.ours[usize::from(buffer)];
        assert!(!*ours, "the kernel named a buffer that it does not have");
        *ours = true;
        // SAFETY: the kernel has handed this buffer over, `ours` keeps it from being lent twice, and the borrow of
        // `self` keeps it from being given back meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.address(buffer).as_ptr(), BUFFER_SIZE) };
        Block::parse(&mut bytes[..len.min(BUFFER_SIZE)])
    }

    /// Gives a buffer of ours to the kernel.
    pub fn give_back(&mut self, buffer: u16) {
        let ours = &mut self.ours[usize::from(buffer)];
        assert!(*ours, "a buffer was given back twice");
        *ours = false;
        let address = self.address(buffer);
        // SAFETY: the index is below the count of entries, and the kernel reads an entry only up to the tail that is
        // published below. Only address, length and number are written: the tail lives in the rest of the first entry.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(usize::from(self.tail % self.count()));
            entry.set_addr(address.as_ptr().expose_provenance() as u64);
            entry.set_len(BUFFER_SIZE as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the pointer is to the first entry of a page-aligned ring of ours; kernel and we access the tail atomically.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    fn address(&self, buffer: u16) -> NonNull<u8> {
        assert!(buffer < self.count());
        // SAFETY: inside the allocation, which holds as many buffers.
        unsafe { self.memory.add(usize::from(buffer) * BUFFER_SIZE) }
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: both were allocated with these layouts; the ring that used them is gone (see `Ring::register_buffers`).
        unsafe {
            dealloc(self.entries.as_ptr().cast(), entries_layout(self.count()));
            dealloc(self.memory.as_ptr(), memory_layout(self.count()));
        }
    }
}

impl<'a> Block<'a> {
    fn parse(bytes: &'a mut [u8]) -> Option<Block<'a>> {
        let (header, rest) = bytes.split_first_chunk_mut::<HEADER>()?;
        let (name, rest) = rest.split_at_mut_checked(NAME_MAX)?;
        let (control, payload) = rest.split_at_mut_checked(CONTROL_MAX)?;
        let field = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (name_len, control_len, payload_len, flags) = (field(0), field(4), field(8), field(12));
        Some(Block {
            name: &name[..NAME_MAX.min(name_len as usize)],
            control: &control[..CONTROL_MAX.min(control_len as usize)],
            truncated: flags & libc::MSG_TRUNC as u32 != 0 || payload_len as usize > payload.len(),
            payload: {
                let len = payload.len().min(payload_len as usize);
                &mut payload[..len]
            },
        })
    }
}

fn entries_layout(buffers: u16) -> Layout {
    Layout::from_size_align(usize::from(buffers) * size_of::<BufRingEntry>(), PAGE).expect("a small power of two")
}

fn memory_layout(buffers: u16) -> Layout {
    Layout::from_size_align(usize::from(buffers) * BUFFER_SIZE, PAGE).expect("a small power of two")
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: neither layout has size zero.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}
