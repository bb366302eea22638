//! How the C library's allocator treats large blocks. Left alone, it raises the size from which a block is a mapping of its
//! own to that of the largest block that was ever freed; from then on the histories of streams that end lie between what
//! lives, and their memory does not go back.

/// Blocks from this size on are mappings of their own, and go back to the system when they are freed: histories of video.
const MAPPED_FROM: libc::c_int = 128 * 1024;

/// Before anything large is allocated.
pub fn settle() {
    // SAFETY: no pointer is passed, and no other thread runs yet. A library that knows no such option says so, and nothing
    // has changed.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM) };
}
