//! Where Janus listens, for clients and for operators. A listener is never wider here than it was there: what cannot be
//! as narrow is left out and named.

use super::server::list;
use super::source::File;
use super::{Import, disabled};
use portunus::signalling::Origin;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Janus' names of the options of one listener, and its port without a word.
struct Names {
    switch: &'static str,
    port: &'static str,
    ip: &'static str,
    interface: &'static str,
    unix: &'static str,
    default: u16,
}

/// The options of the listeners of one section: in plain text, with TLS, and who is let in to both.
struct Section {
    name: &'static str,
    plain: Names,
    secure: Names,
    acl: &'static str,
    forwarded: &'static str,
}

const fn names([switch, port, ip, interface, unix]: [&'static str; 5], default: u16) -> Names {
    Names { switch, port, ip, interface, unix, default }
}

const HTTP: Section = Section {
    name: "general",
    plain: names(["http", "port", "ip", "interface", ""], 8088),
    secure: names(["https", "secure_port", "secure_ip", "secure_interface", ""], 8089),
    acl: "acl",
    forwarded: "acl_forwarded",
};
const WEBSOCKETS: Section = Section {
    name: "general",
    plain: names(["ws", "ws_port", "ws_ip", "ws_interface", "ws_unix"], 8188),
    secure: names(["wss", "wss_port", "wss_ip", "wss_interface", "wss_unix"], 8989),
    acl: "ws_acl",
    forwarded: "ws_acl_forwarded",
};
const ADMIN_HTTP: Section = Section {
    name: "admin",
    plain: names(["admin_http", "admin_port", "admin_ip", "admin_interface", ""], 7088),
    secure: names(["admin_https", "admin_secure_port", "admin_secure_ip", "admin_secure_interface", ""], 7889),
    acl: "admin_acl",
    forwarded: "admin_acl_forwarded",
};
const ADMIN_WEBSOCKETS: Section = Section {
    name: "admin",
    plain: names(["admin_ws", "admin_ws_port", "admin_ws_ip", "admin_ws_interface", "admin_ws_unix"], 7188),
    secure: names(["admin_wss", "admin_wss_port", "admin_wss_ip", "admin_wss_interface", "admin_wss_unix"], 7989),
    acl: "admin_ws_acl",
    forwarded: "admin_ws_acl_forwarded",
};

/// Where clients are served when nothing is left: somewhere it has to be, and nobody outside is let in.
const LAST: &str = "127.0.0.1:8188";
/// Where tokens are stored when no listener of operators is left.
const LAST_OF_OPERATORS: &str = "127.0.0.1:7088";
/// An origin that no page has (RFC 6761 §6.4).
const NO_PAGE: &str = "https://allow-origin.invalid";

/// What a transport serves.
struct Door {
    at: SocketAddr,
    /// Which option turned it on, for the report.
    switch: &'static str,
    file: String,
    /// Certificate and key, if it speaks TLS.
    secure: Option<(Option<String>, Option<String>)>,
    /// Networks that are let in; none is anybody.
    allow: Vec<String>,
    /// It had neither address nor interface: Janus listened on both families.
    everywhere: bool,
}

impl Import {
    /// Both transports: one list of addresses here, which all speak TLS or all do not.
    pub(super) fn transports(&mut self, mut http: Option<File>, mut websockets: Option<File>) {
        let mut clients = self.doors("http", &mut http, &HTTP);
        clients.extend(self.doors("websockets", &mut websockets, &WEBSOCKETS));
        let mut operators = self.doors("http", &mut http, &ADMIN_HTTP);
        operators.extend(self.doors("websockets", &mut websockets, &ADMIN_WEBSOCKETS));
        for file in [&mut http, &mut websockets].into_iter().flatten() {
            let uses_tls = |door: &Door| door.secure.is_some() && door.file == file.name;
            let is_used = clients.iter().chain(&operators).any(uses_tls);
            let idle = ["cert_pem", "cert_key", "cert_pwd", "ciphers"];
            for option in if is_used { &idle[..2] } else { &idle } {
                file.take("certificates", option);
            }
        }
        let clients: Vec<Door> = clients.into_iter().filter_map(|door| self.narrowed(door)).collect();
        let is_secure = clients.iter().any(|door| door.secure.is_some());
        self.certificate(&clients, &operators, is_secure);
        self.clients(&clients, is_secure);
        self.operators(operators, is_secure);
        for file in [&mut http, &mut websockets].into_iter().flatten() {
            if disabled(&self.disabled_transports, transport(file)) {
                continue; // which has been said
            }
            if let Some(text) = file.text("general", "pingpong_trigger") {
                match text.parse::<u32>() {
                    Ok(seconds) => self.set("ping_interval", i64::from(seconds)),
                    Err(_) => self.say(file, "general, pingpong_trigger", "not a number from 0 on: see ping_interval"),
                }
            }
            self.cors(file);
            self.rest(file);
        }
    }

    /// The listeners of one section that are on.
    fn doors(&mut self, transport: &str, file: &mut Option<File>, section: &Section) -> Vec<Door> {
        let of = section.name;
        if disabled(&self.disabled_transports, transport) {
            return Vec::new();
        }
        // A file that is not there says nothing.
        let mut absent = File::absent(&format!("janus.transport.{transport}.jcfg"));
        let file = file.as_mut().unwrap_or(&mut absent);
        let mut doors = Vec::new();
        let (acl, forwarded) = (file.text(of, section.acl), file.switch(of, section.forwarded).unwrap_or_default());
        for (secure, names) in [(false, &section.plain), (true, &section.secure)] {
            // Without a word Janus serves clients in plain text, and operators not at all.
            let on = file.switch(of, names.switch).unwrap_or(!secure && of == "general");
            let (port, ip) = (file.text(of, names.port), file.text(of, names.ip));
            let (interface, unix) = (file.text(of, names.interface), file.text(of, names.unix));
            if !on {
                continue;
            }
            let option = format!("{of}, {}", names.switch);
            if unix.is_some() {
                let sentence =
                    format!("left out: it listened on a Unix socket ({}), which Portunus does not have", names.unix);
                self.say(file, &option, &sentence);
                continue;
            }
            let Some(port) = port.map_or(Some(names.default), |text| text.parse().ok().filter(|port| *port != 0))
            else {
                self.say(file, &option, &format!("left out: {} is no port", names.port));
                continue;
            };
            let ip = match self.place(ip.as_deref(), interface.as_deref()) {
                Ok(ip) => ip,
                Err(sentence) => {
                    self.say(file, &option, &format!("left out: {sentence}"));
                    continue;
                }
            };
            if interface.is_some() && ip.is_some() {
                let at = ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
                let sentence = format!("{} is {at} on this machine", interface.unwrap_or_default());
                self.say(file, &format!("{of}, {}", names.interface), &sentence);
            } else if let Some(ip) = ip.filter(|ip| !ip.is_unspecified() && !self.has(*ip)) {
                let sentence =
                    format!("this machine does not have {ip}; Portunus will not start on a machine without it");
                self.say(file, &option, &sentence);
            }
            let allow = match networks(acl.as_deref(), forwarded) {
                Ok(allow) => allow,
                Err(sentence) => {
                    self.say(file, &option, &format!("left out: {} {sentence}", section.acl));
                    continue;
                }
            };
            let at = SocketAddr::new(ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), port);
            let pair = || (file.look("certificates", "cert_pem"), file.look("certificates", "cert_key"));
            let secure = secure.then(pair);
            doors.push(Door {
                at,
                switch: names.switch,
                file: file.name.clone(),
                secure,
                allow,
                everywhere: ip.is_none(),
            });
        }
        doors
    }

    /// Where a listener is: none when it is everywhere. The error is the end of a sentence.
    fn place(&self, ip: Option<&str>, interface: Option<&str>) -> Result<Option<IpAddr>, String> {
        let named = ip.filter(|ip| !ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified() && interface.is_some()));
        match (named, interface) {
            (Some("localhost"), _) => Ok(Some(Ipv4Addr::LOCALHOST.into())),
            (Some(ip), _) => ip.parse().map(Some).map_err(|_| format!("{ip} is no address")),
            (None, Some(interface)) => {
                let ip = interface.parse().ok().or_else(|| self.address_of(interface));
                ip.map(Some).ok_or_else(|| format!("this machine has no interface {interface}, whose address it had"))
            }
            (None, None) => Ok(None),
        }
    }

    /// Clients are not told apart by their addresses here. A listener for this machine alone can be one on loopback.
    fn narrowed(&mut self, door: Door) -> Option<Door> {
        let loopback = |network: &String| {
            let address = network.split('/').next().and_then(|address| address.parse::<IpAddr>().ok());
            address.is_some_and(|address| address.is_loopback())
        };
        if door.allow.is_empty() {
            return Some(door);
        }
        let (Door { at, switch, file, .. }, is_local) = (&door, door.allow.iter().all(loopback));
        // Nobody but this machine reaches loopback anyway.
        if at.ip().is_loopback() && door.allow.iter().any(loopback) {
            return Some(door);
        }
        if is_local && at.ip().is_unspecified() {
            let at = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), at.port());
            self.words.push(format!("{file}, {switch}: its list lets in only this machine, so it listens on {at}"));
            return Some(Door { at, everywhere: false, ..door });
        }
        let networks = door.allow.join(", ");
        self.words.push(format!(
            "{file}, {switch}: left out: it let in only {networks}, and Portunus does not filter clients by address. With a \
             firewall in front, add {at} to listen"
        ));
        None
    }

    fn certificate(&mut self, clients: &[Door], operators: &[Door], is_secure: bool) {
        if !is_secure {
            return;
        }
        let pairs = || clients.iter().chain(operators).filter_map(|door| Some((door, door.secure.as_ref()?)));
        let Some((first, certificate, key)) =
            pairs().find_map(|(door, (certificate, key))| Some((door, certificate.clone()?, key.clone())))
        else {
            self.words
                .push("TLS without cert_pem: a self-signed certificate is generated at start (tls_self_signed)".into());
            return self.set("tls_self_signed", true);
        };
        for (door, (other, _)) in pairs().filter(|(door, _)| door.file != first.file) {
            if other.as_ref().is_some_and(|other| *other != certificate) {
                let sentence = format!(
                    "{}, {}: its cert_pem is not that of {}, which all addresses use (tls_cert)",
                    door.file, door.switch, first.file
                );
                self.words.push(sentence);
            }
        }
        // A certificate and its key may be one file.
        self.set("tls_key", key.unwrap_or_else(|| certificate.clone()));
        self.set("tls_cert", certificate);
    }

    fn clients(&mut self, doors: &[Door], is_secure: bool) {
        let mut listen: Vec<String> = Vec::new();
        let mut ipv6 = Vec::new();
        for door in doors {
            let at = door.at.to_string();
            if door.secure.is_some() != is_secure {
                let sentence = "speaks no TLS and is left out: Portunus has TLS on all addresses or on none";
                self.words.push(format!("{}, {}: {at} {sentence}", door.file, door.switch));
            } else if !listen.contains(&at) {
                ipv6.extend(door.everywhere.then(|| door.at.port()));
                listen.push(at);
            }
        }
        self.say_ipv6("listen", &ipv6);
        if listen.is_empty() {
            self.words.push(format!("no listener for clients is left: they are served at {LAST} only (listen)"));
            listen.push(LAST.into());
        }
        self.set("listen", listen);
    }

    /// Not every machine has IPv6, and an address that cannot be bound stops the start: it is left to the operator.
    fn say_ipv6(&mut self, setting: &str, ports: &[u16]) {
        if !ports.is_empty() {
            let at: Vec<String> = ports.iter().map(|port| format!("\"[::]:{port}\"")).collect();
            let sentence = "listeners without an address are on IPv4 only; for IPv6 too";
            self.words.push(format!("{setting}: {sentence}, add {}", at.join(", ")));
        }
    }

    /// The Admin API: where Janus serves operators apart from clients, so is it here.
    fn operators(&mut self, doors: Vec<Door>, is_secure: bool) {
        if !self.table.contains_key("admin_secret") {
            if !doors.is_empty() {
                self.words.push("the Admin API is left out, because it needs an admin_secret".into());
            }
            return;
        }
        let mut listen: Vec<String> = Vec::new();
        // One list for all of them: the first there is.
        let allow = doors.iter().map(|door| &door.allow).find(|allow| !allow.is_empty()).cloned();
        let mut ipv6 = Vec::new();
        for Door { at, switch, file, secure, allow: of_door, everywhere } in doors {
            if secure.is_some() && !is_secure {
                let sentence = "speaks no TLS here, as clients' addresses do not, and is left out";
                self.words.push(format!("{file}, {switch}: {at} {sentence}"));
                continue;
            }
            if secure.is_none() && is_secure {
                self.words.push(format!("{file}, {switch}: {at} speaks TLS here, as clients' addresses do"));
            }
            match &allow {
                Some(allow) if of_door.is_empty() => {
                    let sentence = format!("{at} lets in only {}, like the other listeners", allow.join(", "));
                    self.words.push(format!("{file}, {switch}: {sentence} (admin_allow)"));
                }
                Some(allow) if *allow != of_door => {
                    let sentence =
                        format!("{at} is left out: it did not let in the same as the others, {}", allow.join(", "));
                    self.words.push(format!("{file}, {switch}: {sentence}, and Portunus has one list (admin_allow)"));
                    continue;
                }
                _ => {}
            }
            ipv6.extend(everywhere.then(|| at.port()));
            let at = at.to_string();
            if !listen.contains(&at) {
                listen.push(at);
            }
        }
        self.say_ipv6("admin_listen", &ipv6);
        if let Some(allow) = allow {
            self.set("admin_allow", allow);
        }
        if !listen.is_empty() {
            self.set("admin_listen", listen);
        } else if self.table.contains_key("token_auth") && !self.table.contains_key("token_auth_secret") {
            let sentence = format!(
                "no listener for the Admin API is left, but tokens are stored through it: it is at {LAST_OF_OPERATORS} (admin_listen)"
            );
            self.words.push(sentence);
            self.set("admin_listen", vec![LAST_OF_OPERATORS]);
        } else {
            self.words.push(
                "no listener for the Admin API is left: admin_secret is left out, and there is no Admin API".into(),
            );
            self.table.remove("admin_secret");
        }
    }

    /// One origin for both transports, and it is enforced if either does so.
    fn cors(&mut self, file: &mut File) {
        let enforced = file.switch("cors", "enforce_cors").unwrap_or_default();
        let Some(text) = file.text("cors", "allow_origin").filter(|text| text != "*") else {
            if enforced {
                let sentence = "has no effect without an allow_origin";
                self.say(file, "cors, enforce_cors", sentence);
            }
            return;
        };
        let origin = match text.parse::<Origin>().ok().or_else(|| Origin::of_url(&text)) {
            Some(origin) => origin.to_string(),
            None => {
                let sentence = format!(
                    "{text} is not an origin such as https://example.org: pages of other origins are refused until you set one"
                );
                self.say(file, "cors, allow_origin", &sentence);
                NO_PAGE.into()
            }
        };
        match self.table.get("allow_origin").and_then(|known| known.as_str()) {
            Some(known) if known != origin => {
                let sentence = format!("{origin} is left out: both transports share one, {known}");
                self.say(file, "cors, allow_origin", &sentence);
            }
            _ => self.set("allow_origin", origin),
        }
        if enforced {
            self.set("enforce_cors", true);
        }
    }
}

/// `http` of `janus.transport.http.jcfg`
fn transport(file: &File) -> &'static str {
    if file.name.contains(".http.") { "http" } else { "websockets" }
}

/// Janus' lists are of the beginnings of addresses, ours of networks. The error is the end of a sentence.
fn networks(acl: Option<&str>, forwarded: bool) -> Result<Vec<String>, String> {
    let items = list(acl.map(str::to_owned));
    if forwarded && !items.is_empty() {
        return Err("judges X-Forwarded-For, which Portunus does not read".into());
    }
    let network = |item: &String| network(item).ok_or_else(|| format!("has {item}, which is no network"));
    items.iter().map(network).collect()
}

/// `10.1.` is all that begins so: 10.1.0.0/16.
fn network(beginning: &str) -> Option<String> {
    if let Ok(whole) = beginning.parse::<IpAddr>() {
        return Some(format!("{whole}/{}", if whole.is_ipv4() { 32 } else { 128 }));
    }
    let octets = beginning.strip_suffix('.')?.split('.').collect::<Vec<_>>();
    let whole = [octets.as_slice(), &["0"; 3]].concat().get(..4)?.join(".");
    let address = whole.parse::<Ipv4Addr>().ok().filter(|_| octets.len() < 4)?;
    Some(format!("{address}/{}", 8 * octets.len()))
}
