//! Reserved places for replies: a slab whose keys carry a generation and whose entries carry a deadline, so that a late
//! or repeated reply finds nothing.

use super::deadline::Deadlines;
use crate::id::Ticket;
use crate::time::Mono;

/// What waits for replies.
#[derive(Debug)]
pub struct Tickets<W> {
    slots: Vec<Slot<W>>,
    free: Vec<u32>,
    deadlines: Deadlines<Ticket>,
}

#[derive(Debug)]
struct Slot<W> {
    generation: u32,
    waiting: Option<W>,
}

impl<W> Default for Tickets<W> {
    fn default() -> Self {
        Tickets { slots: Vec::new(), free: Vec::new(), deadlines: Deadlines::default() }
    }
}

impl<W> Tickets<W> {
    /// Reserves a place until `deadline`; with [`Mono::NEVER`] until it is taken.
    pub fn reserve(&mut self, deadline: Mono, waiting: W) -> Ticket {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, waiting: None });
            u32::try_from(self.slots.len() - 1).expect("tickets are bounded by handles and rooms")
        });
        let entry = &mut self.slots[slot as usize];
        entry.waiting = Some(waiting);
        let ticket = Ticket { slot, generation: entry.generation };
        self.deadlines.set(ticket, deadline);
        ticket
    }

    /// What waits under a ticket.
    pub fn get(&self, ticket: Ticket) -> Option<&W> {
        let entry = self.slots.get(ticket.slot as usize)?;
        if entry.generation == ticket.generation { entry.waiting.as_ref() } else { None }
    }

    /// Takes what waits under a ticket, once.
    pub fn take(&mut self, ticket: Ticket) -> Option<W> {
        let entry = self.slots.get_mut(ticket.slot as usize)?;
        if entry.generation != ticket.generation {
            return None;
        }
        let waiting = entry.waiting.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(ticket.slot);
        self.deadlines.clear(ticket);
        Some(waiting)
    }

    /// Takes out one whose deadline has come.
    pub fn expired(&mut self, now: Mono) -> Option<W> {
        let ticket = self.deadlines.due(now)?;
        self.take(ticket)
    }

    /// The earliest deadline.
    pub fn deadline(&self) -> Mono {
        self.deadlines.next()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_taken_once_and_a_late_one_finds_nothing() {
        let mut tickets = Tickets::default();
        let first = tickets.reserve(Mono(10), 'a');
        assert_eq!(tickets.take(first), Some('a'));
        assert_eq!(tickets.take(first), None);
        let second = tickets.reserve(Mono(20), 'b');
        assert_eq!(second.slot, first.slot);
        assert_eq!(tickets.take(first), None);
        assert_eq!(tickets.expired(Mono(19)), None);
        assert_eq!(tickets.expired(Mono(20)), Some('b'));
        assert_eq!(tickets.take(second), None);
        assert!(tickets.is_empty());
    }

    #[test]
    fn a_ticket_without_deadline_waits() {
        let mut tickets = Tickets::default();
        let ticket = tickets.reserve(Mono::NEVER, 'a');
        assert_eq!(tickets.deadline(), Mono::NEVER);
        assert_eq!(tickets.expired(Mono(u64::MAX - 1)), None);
        assert_eq!(tickets.len(), 1);
        assert_eq!(tickets.take(ticket), Some('a'));
    }
}
