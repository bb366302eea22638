//! SDP text to its lines: the m-lines with what belongs to each, and what is said for all of them. Only `v=`, `o=`, `s=`,
//! `m=`, `b=` and `a=` are looked into; what is odd in a line that means nothing here refuses nothing (RFC 8866 §5).

use super::error::SdpError;
use crate::limits::MEDIA_LINES_MAX;

/// A description's lines; every value is trimmed.
pub(super) struct Lines<'a> {
    /// `o=` after its key.
    pub origin: &'a str,
    /// `s=`
    pub session_name: &'a str,
    /// What holds for every m-line.
    pub session: Level<'a>,
    pub media: Vec<(MediaLine<'a>, Level<'a>)>,
}

/// `m=<media> <port> <proto> <fmt>`
pub(super) struct MediaLine<'a> {
    pub media: &'a str,
    pub port: u16,
    pub profile: &'a str,
    /// Words; none in an m-line that names no format.
    pub formats: &'a str,
}

/// The `a=` and `b=` lines of the session or of one m-line.
#[derive(Default)]
pub(super) struct Level<'a> {
    attributes: Vec<(&'a str, Option<&'a str>)>,
    bandwidths: Vec<&'a str>,
}

impl<'a> Level<'a> {
    fn add(&mut self, key: &str, value: &'a str) {
        match value.split_once(':') {
            _ if key == "b" => self.bandwidths.push(value),
            Some((name, value)) => self.attributes.push((name.trim_ascii_end(), Some(value.trim_ascii_start()))),
            None => self.attributes.push((value, None)),
        }
    }

    /// Every attribute: its name, and its value where it has one.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        self.attributes.iter().copied()
    }

    pub fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(attribute, _)| *attribute == name)
    }

    /// The values of the attributes of one name.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.attributes.iter().filter(move |(attribute, _)| *attribute == name).filter_map(|(_, value)| *value)
    }

    /// Bits per second of `b=TIAS` (RFC 3890) or, in kilobits, of `b=AS` (RFC 8866 §5.8). Some write fractions; what is no
    /// number or negative says nothing.
    pub fn bandwidth(&self) -> Option<u64> {
        let of = |name: &str, unit: f64| {
            let values = self.bandwidths.iter().filter_map(|line| line.split_once(':'));
            let value = values.into_iter().find(|(kind, _)| kind.trim() == name)?.1;
            let bits = value.trim().parse::<f64>().ok()? * unit;
            // The conversion keeps to the range of the integer.
            (bits.is_finite() && bits >= 0.0).then_some(bits as u64)
        };
        of("TIAS", 1.0).or_else(|| of("AS", 1000.0))
    }
}

/// Splits a description. Lines end in CR, LF or any row of them: some peers make three of two. Spaces before the end are
/// not part of a line.
pub(super) fn split(text: &str) -> Result<Lines<'_>, SdpError> {
    let mut lines = text.split(['\r', '\n']).map(str::trim_ascii_end).filter(|line| !line.is_empty());
    match lines.next() {
        Some("v=0") => {}
        Some(line) if line.starts_with("v=") => return Err(SdpError::Version),
        _ => return Err(SdpError::Missing('v')),
    }
    let (mut origin, mut session_name) = (None, None);
    let mut session = Level::default();
    let mut media: Vec<(MediaLine<'_>, Level<'_>)> = Vec::new();
    for (index, line) in lines.enumerate() {
        // The text is the peer's and its parts go on to others; U+0085 and the like break lines for some readers.
        let syntax = SdpError::Line(index + 2);
        if line.contains(char::is_control) {
            return Err(syntax);
        }
        let (key, value) = line.split_once('=').filter(|(key, _)| key.len() == 1).ok_or(syntax)?;
        let value = value.trim_ascii_start();
        match key {
            "m" if media.len() == MEDIA_LINES_MAX => return Err(SdpError::MediaLineCount),
            "m" => media.push((media_line(value).ok_or(SdpError::Line(index + 2))?, Level::default())),
            "o" if media.is_empty() => origin = origin.or(Some(value)),
            "s" if media.is_empty() => session_name = session_name.or(Some(value)),
            "b" | "a" => media.last_mut().map_or(&mut session, |(_, level)| level).add(key, value),
            _ => {}
        }
    }
    Ok(Lines {
        origin: origin.ok_or(SdpError::Missing('o'))?,
        session_name: session_name.ok_or(SdpError::Missing('s'))?,
        session,
        media,
    })
}

fn media_line(value: &str) -> Option<MediaLine<'_>> {
    let word = |text: &str| {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        (word.len(), text.len() - rest.trim_ascii_start().len())
    };
    let (end, next) = word(value);
    let (media, value) = (&value[..end], &value[next..]);
    let (end, next) = word(value);
    // `9/2` is two ports (RFC 8866 §5.14), of which WebRTC knows one.
    let (port, value) = (value[..end].split('/').next()?.parse().ok()?, &value[next..]);
    let (end, next) = word(value);
    let (profile, formats) = (&value[..end], &value[next..]);
    let is_token = !media.is_empty() && media.len() <= MEDIA_TYPE_MAX && media.bytes().all(|b| b.is_ascii_graphic());
    (is_token && !profile.is_empty() && profile.len() <= PROFILE_MAX && profile.is_ascii()).then_some(MediaLine {
        media,
        port,
        profile,
        formats,
    })
}

/// Longest media type; it is echoed when its m-line is rejected.
const MEDIA_TYPE_MAX: usize = 64;
/// Longest proto field, which is echoed too.
const PROFILE_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n";

    #[test]
    fn lines_end_in_any_way_and_lose_what_trails() {
        for end in ["\r\n", "\n", "\r", "\r\r\n", " \r\n", "\t \n\n"] {
            let text =
                format!("{HEAD}t=0 0\r\na=mid:x\r\nm=audio 9/2 RTP/SAVPF 0 8\r\na=rtcp-mux\r\na=mid: 7\r\nb=AS:5\r\n");
            let text = text.replace("\r\n", end);
            let lines = split(&text).unwrap_or_else(|error| panic!("{end:?}: {error}"));
            assert_eq!((lines.origin, lines.session_name), ("- 1 1 IN IP4 0.0.0.0", "-"));
            let [(line, level)] = &lines.media[..] else { panic!("one m-line") };
            assert_eq!((line.media, line.port, line.profile, line.formats), ("audio", 9, "RTP/SAVPF", "0 8"));
            assert!(level.has("rtcp-mux") && !lines.session.has("rtcp-mux"));
            assert_eq!(level.values("mid").collect::<Vec<_>>(), ["7"]);
            assert_eq!(level.bandwidth(), Some(5_000));
        }
    }

    #[test]
    fn what_means_nothing_here_is_not_looked_into() {
        let odd = "i=\r\nu=:\r\ne=\r\np=\r\nc=IN\r\nc=IN IP4 a b c\r\nb=\r\nb=X\r\nt=now\r\nr=\r\nz=z\r\nk=k\r\nk=k\r\ny=?\r\n";
        let text = format!("{HEAD}{odd}m=audio 9 RTP/SAVPF\r\n{odd}o=\r\ns=\r\n");
        let lines = split(&text).unwrap();
        assert_eq!((lines.media.len(), lines.media[0].0.formats), (1, ""));
    }

    #[test]
    fn a_line_that_is_none_is_named_by_its_number() {
        for wrong in ["x", "xy=z", "a=b\u{1}c", "a=b\tc", "a=b\u{85}c", "m=audio", "m=audio x RTP/SAVPF 0", "m=audio 9"]
        {
            assert_eq!(split(&format!("{HEAD}{wrong}\r\n")).err(), Some(SdpError::Line(4)), "{wrong:?}");
        }
    }

    #[test]
    fn bandwidths_may_be_odd() {
        let of =
            |line: &str| split(&format!("{HEAD}m=video 9 RTP/SAVPF 96\r\n{line}\r\n")).unwrap().media[0].1.bandwidth();
        assert_eq!(of("b=AS:50.5"), Some(50_500));
        assert_eq!(of("b=AS: 64 "), Some(64_000));
        assert_eq!(of("b=AS:64\r\nb=TIAS:50000"), Some(50_000));
        assert_eq!(of("b=TIAS:nonsense\r\nb=AS:64"), Some(64_000));
        assert_eq!(of("b=AS:1e300"), Some(u64::MAX));
        for nothing in ["b=AS:-1", "b=AS:NaN", "b=AS:inf", "b=AS:", "b=AS", "b=CT:64", "a=x"] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }
}
