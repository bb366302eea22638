//! Who hears whom. No bytes, no keys, no sockets.
