//! Options of Janus' core: `janus.jcfg`.

use super::source::File;
use super::{Import, disabled};
use crate::interface::choose;
use std::net::IpAddr;

/// Numbers that have the same meaning here: section, Janus' name, ours, and the largest that we take.
const NUMBERS: [(&str, &str, &str, u32); 5] = [
    ("general", "session_timeout", "session_timeout", u32::MAX),
    ("general", "reclaim_session_timeout", "reclaim_session_timeout", u32::MAX),
    ("media", "slowlink_threshold", "slowlink_threshold", u32::MAX),
    ("media", "dscp", "dscp", 63),
    ("events", "stats_period", "event_stats_period", u32::MAX),
];
/// Media ports begin here at most: each shard needs one.
const MEDIA_PORT_MAX: u16 = u16::MAX - 255;
/// Where media is when nothing is left that Janus would have used.
const NOWHERE: &str = "127.0.0.1";

impl Import {
    /// `janus.jcfg`; what is left of it is spoken of by `rest`, when the other files have been read.
    pub(super) fn server(&mut self, file: &mut File) {
        for (section, name, ours, max) in NUMBERS {
            let Some(text) = file.text(section, name) else { continue };
            match text.trim().parse::<u32>() {
                Ok(number) if number <= max => self.set(ours, i64::from(number)),
                _ => self.say(file, &format!("{section}, {name}"), &format!("not a number from 0 to {max}")),
            }
        }
        for name in ["api_secret", "server_name", "admin_secret"] {
            file.text("general", name).into_iter().for_each(|text| self.set(name, text));
        }
        if file.switch("general", "token_auth") == Some(true) {
            self.set("token_auth", true);
            let secret = file.text("general", "token_auth_secret");
            secret.into_iter().for_each(|text| self.set("token_auth_secret", text));
        }
        if file.switch("certificates", "rsa_private_key") == Some(true) {
            self.set("dtls_certificate", "rsa");
        }
        if let Some(level) = file.text("general", "debug_level") {
            let log = match level.parse::<u8>() {
                Ok(0..=2) => "error",
                Ok(3) => "warn",
                Ok(4) => "info",
                Ok(5 | 6) => "debug",
                Ok(7..) => "trace",
                Err(_) => {
                    self.say(file, "general, debug_level", "not a number from 0 on, it is 4 (info)");
                    "info"
                }
            };
            self.set("log", log);
        }
        self.media_port(file);
        self.addresses(file);
        self.modules(file);
    }

    fn media_port(&mut self, file: &mut File) {
        let Some(range) = file.text("media", "rtp_port_range") else { return };
        match range.split('-').next().and_then(|first| first.trim().parse::<u16>().ok()) {
            Some(first @ 1..=MEDIA_PORT_MAX) => {
                self.set("media_port", i64::from(first));
                let sentence = "each media shard uses one UDP port; the first is the start of the range (media_port)";
                self.say(file, "media, rtp_port_range", sentence);
            }
            _ => {
                let sentence = format!("does not begin with a port from 1 to {MEDIA_PORT_MAX}: see media_port");
                self.say(file, "media, rtp_port_range", &sentence);
            }
        }
    }

    /// Where media are bound, and what is advertised.
    fn addresses(&mut self, file: &mut File) {
        let ipv6 = file.switch("media", "ipv6").unwrap_or_default();
        self.set("media_ipv6", ipv6);
        let mut public: Vec<IpAddr> = Vec::new();
        for item in list(file.text("nat", "nat_1_1_mapping")) {
            match item.parse::<IpAddr>() {
                Ok(ip) if ip.is_unspecified() => {
                    self.say(file, "nat, nat_1_1_mapping", &format!("{ip} is no address to be reached at"));
                }
                Ok(ip) if ip.is_ipv6() && !ipv6 => {
                    self.say(file, "nat, nat_1_1_mapping", &format!("{ip} is left out because media.ipv6 is off"));
                }
                Ok(ip) => public.push(ip),
                Err(_) => self.say(file, "nat, nat_1_1_mapping", &format!("{item} is no address: see public_ip")),
            }
        }
        let enforced = file.look("nat", "ice_enforce_list").is_some();
        self.sdp_address(file, enforced, ipv6, &mut public);
        if enforced {
            self.enforce(file, ipv6);
        } else {
            self.ignore(file, ipv6);
        }
        let keeps = file.switch("nat", "keep_private_host").unwrap_or_default();
        if keeps && public.is_empty() {
            self.say(file, "nat, keep_private_host", "has no effect without a mapped address");
        } else if keeps {
            self.set("keep_private_host", true);
        }
        self.public_address(file, &public);
        if !public.is_empty() {
            self.set("public_ip", public.iter().map(IpAddr::to_string).collect::<Vec<_>>());
        }
    }

    /// `interface` is the address that Janus shows in SDP: bound if this machine has it, else somebody maps it.
    fn sdp_address(&mut self, file: &mut File, enforced: bool, ipv6: bool, public: &mut Vec<IpAddr>) {
        const OPTION: &str = "general, interface";
        let Some(text) = file.text("general", "interface") else { return };
        let named = self.address_of(&text).filter(|_| text.parse::<IpAddr>().is_err());
        match named.or_else(|| text.parse().ok()) {
            None => {
                let sentence = format!("{text} is neither an address nor an interface of this machine: see media_ip");
                self.say(file, OPTION, &sentence);
            }
            Some(ip) if ip.is_unspecified() => {
                self.say(file, OPTION, &format!("{ip} is no address that an SDP can show"));
            }
            Some(ip) if ip.is_ipv6() && !ipv6 => {
                self.say(file, OPTION, &format!("{ip} is left out because media.ipv6 is off"));
            }
            Some(ip) if public.contains(&ip) => {}
            Some(ip) if self.has(ip) && enforced => {
                self.say(file, OPTION, &format!("{ip} is not used: ice_enforce_list says which addresses media uses"));
            }
            Some(ip) if self.has(ip) => {
                self.set("media_ip", vec![ip.to_string()]);
                self.say(file, OPTION, &format!("media uses {ip} only (media_ip)"));
            }
            Some(ip) if public.iter().any(|other| other.is_ipv4() == ip.is_ipv4()) => {
                self.say(file, OPTION, &format!("{ip} is left out: nat_1_1_mapping says what is advertised"));
            }
            Some(ip) => {
                let sentence =
                    format!("this machine does not have {ip}, so it is advertised (public_ip) and not bound");
                self.say(file, OPTION, &sentence);
                public.push(ip);
            }
        }
    }

    /// A list of the beginnings of names and of addresses, of which ours are patterns of names, or whole addresses.
    fn enforce(&mut self, file: &mut File, ipv6: bool) {
        const OPTION: &str = "nat, ice_enforce_list";
        let items = list(file.text("nat", "ice_enforce_list"));
        file.take("nat", "ice_ignore_list"); // Janus does not look at it either
        if items.iter().all(|item| is_name(item)) {
            return self.set("media_interface", items.iter().map(|name| format!("{name}*")).collect::<Vec<_>>());
        }
        let (mut chosen, mut absent): (Vec<String>, Vec<String>) = Default::default();
        for item in &items {
            let whole = item.parse::<IpAddr>().ok();
            let fits = |ip: &IpAddr, name: &str| match is_name(item) {
                true => name.starts_with(item),
                false => whole == Some(*ip) || whole.is_none() && ip.to_string().starts_with(item),
            };
            let own = self.own.iter().filter(|own| fits(&own.ip, &own.name) && (ipv6 || own.ip.is_ipv4()));
            let found: Vec<String> = own.map(|own| own.ip.to_string()).collect();
            match whole {
                Some(ip) if ip.is_ipv6() && !ipv6 => {
                    self.say(file, OPTION, &format!("{ip} is left out because media.ipv6 is off"));
                }
                Some(ip) if found.is_empty() => absent.push(ip.to_string()),
                None if found.is_empty() => {
                    self.say(file, OPTION, &format!("this machine has no address that matches {item}: see media_ip"));
                }
                None => {
                    let sentence = format!("{item} is {} on this machine (media_ip)", found.join(", "));
                    self.say(file, OPTION, &sentence);
                }
                Some(_) => {}
            }
            chosen.extend(found);
        }
        for ip in &absent {
            let sentence = match chosen.is_empty() {
                true => format!("this machine does not have {ip}; Portunus will not start on a machine without it"),
                false => format!("{ip} is left out because this machine does not have it"),
            };
            self.say(file, OPTION, &sentence);
        }
        if chosen.is_empty() {
            chosen = absent;
        }
        self.media_at(file, OPTION, chosen);
    }

    /// The same of what Janus does not use.
    fn ignore(&mut self, file: &mut File, ipv6: bool) {
        const OPTION: &str = "nat, ice_ignore_list";
        let items = list(file.text("nat", "ice_ignore_list"));
        let (names, addresses): (Vec<_>, Vec<_>) = items.iter().partition(|item| is_name(item));
        let patterns: Vec<String> = names.iter().map(|name| format!("!{name}*")).collect();
        if self.table.contains_key("media_ip") {
            return; // one address has been chosen
        }
        let ignored = |ip: &IpAddr| addresses.iter().any(|beginning| ip.to_string().starts_with(*beginning));
        let candidates = choose(&self.own, &patterns, false).into_iter().map(|address| address.ip);
        let (out, left): (Vec<IpAddr>, Vec<IpAddr>) =
            candidates.filter(|ip| ipv6 || ip.is_ipv4()).partition(|ip| ignored(ip));
        if !out.is_empty() {
            let out: Vec<String> = out.iter().map(IpAddr::to_string).collect();
            let sentence =
                format!("{} excluded by naming the other addresses of this machine (media_ip)", out.join(", "));
            self.say(file, OPTION, &sentence);
            return self.media_at(file, OPTION, left.iter().map(IpAddr::to_string).collect());
        }
        if !patterns.is_empty() {
            self.set("media_interface", patterns);
        }
        let others: Vec<&str> = addresses.iter().map(|item| item.as_str()).collect();
        if !others.is_empty() {
            let sentence =
                format!("no address of this machine begins with {}, so nothing is excluded", others.join(", "));
            self.say(file, OPTION, &sentence);
        }
    }

    fn media_at(&mut self, file: &File, option: &str, mut addresses: Vec<String>) {
        addresses.dedup();
        if addresses.is_empty() {
            self.say(file, option, &format!("no address is left; media uses {NOWHERE} until you set media_ip"));
            addresses.push(NOWHERE.into());
        }
        self.set("media_ip", addresses);
    }

    /// What Janus asked a STUN server for has to be configured here.
    fn public_address(&mut self, file: &mut File, public: &[IpAddr]) {
        if let Some(server) = file.text("nat", "stun_server") {
            let port = file.text("nat", "stun_port").unwrap_or_else(|| "3478".into());
            let sentence = match public.first() {
                Some(ip) => format!("Portunus asks no STUN server; public_ip is {ip}"),
                None => format!(
                    "Portunus asks no STUN server. If this machine is behind a NAT, public_ip must be named, or nobody \
                     outside gets media: portunus check --stun {server}:{port} prints the address to put there"
                ),
            };
            self.say(file, "nat, stun_server", &sentence);
            if port != "3478" {
                self.say(file, "nat, stun_port", &sentence);
            }
        }
    }

    /// Parts that Janus does not load. Those of plugins and transports are honoured where their files are read.
    fn modules(&mut self, file: &mut File) {
        let plugins = list(file.text("plugins", "disable"));
        let without = plugins.iter().filter(|name| !disabled(&plugins, "videoroom") || !name.contains("videoroom"));
        let without: Vec<&str> = without.map(String::as_str).collect();
        if !without.is_empty() {
            self.say(file, "plugins, disable", &format!("Portunus does not have these anyway: {}", without.join(", ")));
        }
        self.disabled_plugins = plugins;
        self.disabled_transports = list(file.text("transports", "disable"));
        let names = self.disabled_transports.join(", ");
        if !names.is_empty() {
            self.say(file, "transports, disable", &format!("not imported: {names}"));
        }
        self.disabled_events = list(file.text("events", "disable"));
        let names = self.disabled_events.join(", ");
        if !names.is_empty() {
            self.say(file, "events, disable", &format!("not imported: {names}"));
        }
        self.events = file.switch("events", "broadcast").unwrap_or_default();
    }

    /// Whether this machine has an address.
    pub(super) fn has(&self, ip: IpAddr) -> bool {
        self.own.iter().any(|own| own.ip == ip)
    }

    /// The address of an interface of this machine, of IPv4 if it has one.
    pub(super) fn address_of(&self, interface: &str) -> Option<IpAddr> {
        let mut of_it: Vec<IpAddr> = self.own.iter().filter(|own| own.name == interface).map(|own| own.ip).collect();
        of_it.sort_by_key(IpAddr::is_ipv6);
        of_it.first().copied()
    }
}

/// The items of a list in one text.
pub(super) fn list(text: Option<String>) -> Vec<String> {
    let items = text.iter().flat_map(|text| text.split(','));
    items.map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// Whether it is (the beginning of) the name of an interface rather than of an address.
fn is_name(item: &str) -> bool {
    item.starts_with(|first: char| first.is_ascii_alphabetic()) && !item.contains(':')
}
