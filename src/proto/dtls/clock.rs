//! What the safe binding of the DTLS library lacks: virtual time, for its clock callback and its retransmission timer
//! (RFC 6347 §4.2.4), and one flag.
//!
//! This is the one file of the engine with unsafe code and the one with a `thread_local`: the functions exist only as C symbols,
//! and the callback is handed no context, so the instant is left in a cell before each call of the library.
#![allow(unsafe_code)]

use super::memory::Memory;
use crate::time::{Mono, Now};
use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::{SslContextBuilder, SslRef, SslStream};
use openssl_sys as ffi;
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static NOW: Cell<Now> = const { Cell::new(Now { mono: Mono(0), unix_us: 0 }) };
}

/// Makes endpoints of this context read [`set`]'s instant instead of the system's clock.
pub(super) fn install(builder: &mut SslContextBuilder) {
    // SAFETY: the pointer is the live context of `builder`; the callback is a function that lives for ever and never unwinds.
    unsafe { ffi::SSL_CTX_set_current_time_cb(builder.as_ptr(), Some(current_time)) }
}

/// Sets the instant for the library calls that follow on this thread.
pub(super) fn set(now: Now) {
    NOW.set(now);
}

/// Sets the time before the first repetition; it doubles each time.
pub(super) fn set_initial_timeout(ssl: &mut SslRef, first: Duration) {
    let millis = u32::try_from(first.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: the pointer comes from an exclusive reference and outlives the call, which only stores a number.
    unsafe { ffi::DTLSv1_set_initial_timeout_duration(ssl.as_ptr(), millis) }
}

/// Has the library free what only a handshake needs once it is complete: 1.2 of 9.5 kB per peer.
pub(super) fn shed_handshake_config(ssl: &mut SslRef) {
    // SAFETY: the pointer comes from an exclusive reference and outlives the call, which only sets a flag.
    unsafe { ffi::SSL_set_shed_handshake_config(ssl.as_ptr(), 1) }
}

/// When the flight in the air is to be repeated; [`Mono::NEVER`] when none is. The library rounds the last 15 ms to none.
pub(super) fn timeout(ssl: &SslRef, now: Now) -> Mono {
    set(now);
    let mut left = ffi::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: both pointers come from references that outlive the call; it reads the one and writes the other.
    if unsafe { ffi::DTLSv1_get_timeout(ssl.as_ptr(), &mut left) } != 1 {
        return Mono::NEVER;
    }
    let seconds = Duration::from_secs(u64::try_from(left.tv_sec).unwrap_or(0));
    now.mono + seconds + Duration::from_micros(u64::try_from(left.tv_usec).unwrap_or(0))
}

/// Repeats the flight in the air if its time has come; an error when it was repeated too often.
pub(super) fn handle_timeout(stream: &mut SslStream<Memory>, now: Now) -> Result<(), ErrorStack> {
    set(now);
    // SAFETY: the pointer comes from an exclusive reference to the stream, so nobody else uses the SSL object or the
    // `Memory` that the call writes to; a panic in that write is caught by the binding's callback.
    match unsafe { ffi::DTLSv1_handle_timeout(stream.ssl().as_ptr()) } {
        -1 => Err(ErrorStack::get()),
        _ => Ok(()),
    }
}

/// The library's clock: monotonic time, never 0 because a timer at 0 means none.
unsafe extern "C" fn current_time(_ssl: *const ffi::SSL, out: *mut ffi::timeval) {
    let Mono(nanos) = NOW.try_with(Cell::get).unwrap_or_default().mono;
    let micros = nanos / 1000 + 1;
    let part = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    // SAFETY: the library passes a valid, writable timeval of its own stack.
    unsafe { out.write(ffi::timeval { tv_sec: part(micros / 1_000_000), tv_usec: part(micros % 1_000_000) }) }
}
