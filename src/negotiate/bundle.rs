//! Which m-lines run on the one transport that a peer has with us. Those of a BUNDLE group do; without a group each m-line
//! has its own transport, and those that need another one than the first are not carried (RFC 9143 §7.3).

use crate::wire::sdp::{Description, MediaSection, Transport};

/// The transport of the wanted m-lines (by index), and for each m-line whether it is wanted and runs on it. The group
/// goes first; a member that is not wanted does not lead it (RFC 9143 §7.3.1). Where nothing is wanted the transport is
/// any that the description has.
pub(super) fn carried(description: &Description, is_wanted: impl Fn(usize) -> bool) -> (Option<&Transport>, Vec<bool>) {
    let media = &description.media;
    let group = description.bundle.as_deref().unwrap_or_default();
    let in_group = |section: &MediaSection| group.contains(&section.mid);
    let wanted = || media.iter().enumerate().filter(|(index, _)| is_wanted(*index)).map(|(_, section)| section);
    let leads = group.iter().find_map(|mid| wanted().find(|section| section.mid == *mid));
    let Some(leader) = leads.or_else(|| wanted().next()) else {
        return (description.transport(), vec![false; media.len()]);
    };
    let transport = leader.transport.as_ref();
    let runs_on_it = |section: &MediaSection| {
        let is_same = |own: &Transport, its: &Transport| own.ufrag == its.ufrag && own.pwd == its.pwd;
        let shares = section.transport.as_ref().zip(transport).is_none_or(|(own, its)| is_same(own, its));
        shares || in_group(section) && in_group(leader)
    };
    let lines = media.iter().enumerate().map(|(index, section)| is_wanted(index) && runs_on_it(section));
    (transport, lines.collect())
}
