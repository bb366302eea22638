//! How the C library's allocator treats large blocks. Left alone, it raises the size from which a block is a mapping of its
//! own to that of the largest block that was ever freed; from then on the histories of streams that end lie between what
//! lives, and their memory does not go back. And it gives the end of each heap back whenever 128 KiB are free there, only to
//! ask for it again with the next peers.

/// Blocks from this size on are mappings of their own, and go back to the system when they are freed: histories of video.
const MAPPED_FROM: libc::c_int = 128 * 1024;
/// What may be free at the end of a heap before it goes back.
const KEPT: libc::c_int = 64 * 1024 * 1024;

/// Before anything large is allocated.
pub fn settle() {
    // SAFETY: no pointer is passed, and no other thread runs yet. A library that knows no such option says so, and nothing
    // has changed.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}
