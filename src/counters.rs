//! Counts by name, each written down once: its field or its variant is also what `/healthz` calls it.

/// A struct of counts since start, and lists of them with their names.
macro_rules! counters {
    ($(#[$meta:meta])* pub struct $Counters:ident {
        $($(#[$about:meta])* fn $list:ident { $($(#[$doc:meta])* $name:ident,)* })*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $Counters { $($($(#[$doc])* pub $name: u64,)*)* }

        impl $Counters {
            $($(#[$about])* pub fn $list(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            })*
        }
    };
}

/// An enum of reasons, and a struct that counts how often each was given.
macro_rules! reasons {
    ($(#[$meta:meta])* pub enum $Reason:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* }
    $(#[$about:meta])* pub struct $Counts:ident;) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Reason { $($(#[$doc])* $variant,)* }

        $(#[$about])*
        #[derive(Debug)]
        pub struct $Counts([u64; [$($name),*].len()]);

        impl Default for $Counts {
            fn default() -> $Counts {
                $Counts([0; [$($name),*].len()])
            }
        }

        impl $Counts {
            /// Counts one.
            pub fn count(&mut self, reason: $Reason) {
                self.add(reason, 1);
            }

            /// Counts several.
            pub fn add(&mut self, reason: $Reason, n: u64) {
                self.0[reason as usize] += n;
            }

            /// How many so far.
            pub fn of(&self, reason: $Reason) -> u64 {
                self.0[reason as usize]
            }

            /// (name, count) pairs, zeros included.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                [$($name),*].into_iter().zip(self.0)
            }
        }
    };
}

pub(crate) use {counters, reasons};
