//! The process's limits that matter here, raised as far as we may, and how many descriptors a configuration needs.

use crate::config::Config;
use portunus::limits::CAPTURES_MAX;
use std::fmt;

/// Descriptors of the process itself: the standard streams, the signals' pipe, the bells that all shards share.
const OF_PROCESS: usize = 7;
/// Of a media shard, its ring and its bell; and of each of its sockets, which one more watches.
const OF_MEDIA_SHARD: usize = 2;
const OF_MEDIA_SOCKET: usize = 2;
/// Of a signalling shard: the executor's rings and its bell.
const OF_SIGNALLING_SHARD: usize = 4;
/// What is open for a moment only: the rooms file, a name that is looked up, an event that is posted, a connection that
/// is turned away.
const IN_PASSING: usize = 32;
/// Connections below which starting makes no sense.
const CONNECTIONS_MIN: usize = 256;

/// How a limit of open descriptors is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    pub limit: u64,
    /// What the least number of connections needs together with everything else.
    pub needed: usize,
    /// What `connections_max` need.
    pub wanted: usize,
    /// Connections that there is room for, `connections_max` at most.
    pub connections: usize,
}

impl Descriptors {
    /// Under a limit, for at most `connections_max` connections.
    pub fn new(limit: u64, config: &Config, connections_max: usize) -> Descriptors {
        let sockets = config.media.len() + usize::from(config.remote_ports);
        let listeners = config.listen.len() + config.admin_listen.len();
        let captures = config.capture_folder.as_ref().map_or(0, |_| CAPTURES_MAX);
        let own = OF_PROCESS
            + config.plan.media.len() * (OF_MEDIA_SHARD + OF_MEDIA_SOCKET * sockets)
            + config.plan.signalling.len() * (OF_SIGNALLING_SHARD + listeners)
            + captures
            + IN_PASSING;
        let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(own);
        Descriptors {
            limit,
            needed: own + CONNECTIONS_MIN,
            wanted: own + connections_max,
            connections: room.min(connections_max),
        }
    }

    /// Whether the least number of connections fits.
    pub fn suffice(&self) -> bool {
        self.limit >= self.needed as u64
    }
}

impl fmt::Display for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Descriptors { limit, needed, wanted, connections } = self;
        let raise = "raise the hard limit (ulimit -n, LimitNOFILE=, docker run --ulimit nofile=)";
        if !self.suffice() {
            return write!(
                f,
                "{limit} files may be open, at least {needed} are needed for this configuration: {raise}"
            );
        }
        write!(f, "{limit} files may be open, which is room for {connections} connections at a time")?;
        if *limit < *wanted as u64 {
            write!(f, "; {wanted} are needed for as many as Portunus takes: {raise}")?;
        }
        Ok(())
    }
}

/// A limit of the process.
pub enum Resource {
    /// Open descriptors: each connection is one.
    Files,
    /// Bytes of locked memory: the signalling executor registers some.
    LockedMemory,
}

/// Raises the soft limit to the hard one and says what it is now.
pub fn raise(resource: Resource) -> u64 {
    let resource = match resource {
        Resource::Files => libc::RLIMIT_NOFILE,
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid `rlimit`, which the first one fills.
    unsafe {
        if libc::getrlimit(resource, &raw mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
            if libc::setrlimit(resource, &raw const raised) == 0 {
                limit = raised;
            }
        }
    }
    limit.rlim_cur
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_grows_with_the_configuration() {
        let needed = |text: &str| {
            let config = Config::new(toml::from_str(text).unwrap()).unwrap();
            Descriptors::new(256, &config, 10_000).needed
        };
        let least = needed("media_ip = [\"127.0.0.1\"]\nshards = 1");
        assert!((257..400).contains(&least), "256 are never enough, and no thousands are asked for: {least}");
        assert_eq!(needed("media_ip = [\"127.0.0.1\"]\nshards = 3"), least + 8);
        assert_eq!(needed("media_ip = [\"127.0.0.1\", \"127.0.0.2\"]\nshards = 1"), least + 2);
        assert_eq!(needed("media_ip = [\"127.0.0.1\"]\nshards = 1\nremote_ports = 5"), least + 10);
        assert_eq!(needed("media_ip = [\"127.0.0.1\"]\nshards = 1\nsignalling_shards = 4"), least + 15);
    }

    #[test]
    fn too_few_are_named_with_the_number_that_is_needed() {
        let config = Config::new(toml::from_str("media_ip = [\"127.0.0.1\"]\nshards = 1").unwrap()).unwrap();
        let of = |limit| Descriptors::new(limit, &config, 10_000);
        let few = of(256);
        assert!(!few.suffice() && few.to_string().contains("256 files") && few.to_string().contains("LimitNOFILE"));
        assert!(few.to_string().contains(&few.needed.to_string()), "{few}");
        let some = of(1024);
        assert!(some.suffice() && some.connections < 1000 && some.to_string().contains(&some.wanted.to_string()));
        let many = of(u64::MAX);
        assert_eq!((many.connections, many.to_string().contains("ulimit")), (10_000, false));
    }
}
