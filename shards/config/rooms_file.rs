//! Permanent rooms on disk: a TOML file of `[[room]]` tables, written whole by a thread of its own, to a new file that
//! takes the old one's place. What is asked for together is written together.

use super::misspelling::explain;
use super::rooms::RoomTable;
use async_channel::Sender;
use portunus::control::spec::RoomSpec;
use portunus::id::{RoomId, SignallingId, Ticket};
use portunus::signalling::Permanent;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use tracing::error;

/// Rooms in the file: as many as four full shards have. More are refused.
const ROOMS_MAX: usize = 65_536;
/// Bytes of the file. What would make it longer is refused.
const BYTES_MAX: usize = 64 << 20;
/// Changes that wait for the disk; more are refused.
const QUEUE: usize = 1024;

/// What the file holds.
#[derive(Clone, Debug, Default)]
pub struct RoomsFile {
    kept: BTreeMap<RoomId, RoomTable>,
    /// Rooms of the configuration that were destroyed for ever.
    destroyed: BTreeSet<RoomId>,
    /// Those of the configuration: the others need not be remembered when they are destroyed.
    configured: BTreeSet<RoomId>,
    string_ids: bool,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    destroyed: Vec<RoomTable>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    room: Vec<RoomTable>,
}

/// The way of one signalling shard to the thread, and back.
pub struct Clerk {
    signalling: SignallingId,
    changes: SyncSender<Change>,
    /// Whether what was handed in under a ticket is on the disk.
    pub outcomes: async_channel::Receiver<(Ticket, bool)>,
}

struct Change {
    from: SignallingId,
    ticket: Ticket,
    what: Permanent,
}

impl RoomsFile {
    /// Reads the file and lays it over the configured rooms: what is kept takes their place or comes behind them, and
    /// what was destroyed is left out. A file that is not there is an empty one. The error is a sentence.
    pub fn read(path: &Path, rooms: &mut Vec<RoomSpec>, string_ids: bool) -> Result<RoomsFile, String> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder(path).is_dir() => String::new(),
            text => text.map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        };
        let contents: Contents =
            toml::from_str(&text).map_err(|error| format!("{}: {}", path.display(), explain(&error)))?;
        let configured = rooms.iter().map(|room| room.room.clone()).collect();
        let mut file = RoomsFile { configured, string_ids, ..RoomsFile::default() };
        let spec = |table: &RoomTable| table.spec(string_ids).map_err(|error| format!("{}: {error}", path.display()));
        for table in &contents.destroyed {
            file.destroyed.insert(spec(table)?.room);
        }
        rooms.retain(|room| !file.destroyed.contains(&room.room));
        for table in contents.room {
            let spec = spec(&table)?;
            if file.kept.insert(spec.room.clone(), table).is_some() {
                return Err(format!("{}: there are two rooms {}", path.display(), spec.room));
            }
            match rooms.iter_mut().find(|room| room.room == spec.room) {
                Some(room) => *room = spec,
                None => rooms.push(spec),
            }
        }
        Ok(file)
    }

    /// Starts the thread that writes to `path`, with a clerk for each signalling shard.
    pub fn serve(self, path: PathBuf, signalling_shards: u8) -> io::Result<Vec<Clerk>> {
        let (changes, queue) = sync_channel(QUEUE);
        let (senders, clerks): (Vec<_>, Vec<_>) = (0..signalling_shards)
            .map(|signalling| {
                let (sender, outcomes) = async_channel::bounded(QUEUE);
                (sender, Clerk { signalling: SignallingId(signalling), changes: changes.clone(), outcomes })
            })
            .unzip();
        thread::Builder::new().name("rooms-file".into()).spawn(move || self.run(&path, &queue, &senders))?;
        Ok(clerks)
    }

    fn run(mut self, path: &Path, queue: &Receiver<Change>, senders: &[Sender<(Ticket, bool)>]) {
        while let Ok(first) = queue.recv() {
            let together: Vec<Change> = std::iter::once(first).chain(queue.try_iter().take(QUEUE)).collect();
            for (from, ticket, is_written) in self.carry_out(path, together) {
                // A shard that has ended waits for nothing.
                let _ = senders[usize::from(from.0)].send_blocking((ticket, is_written));
            }
        }
    }

    /// Makes the changes and writes the file; when that fails, nothing has changed.
    fn carry_out(&mut self, path: &Path, changes: Vec<Change>) -> Vec<(SignallingId, Ticket, bool)> {
        let mut next = self.clone();
        let made = changes.into_iter().map(|change| (change.from, change.ticket, next.change(change.what)));
        let made: Vec<_> = made.collect();
        let written = next.write(path);
        if let Err(error) = &written {
            error!("rooms are not permanent: {} cannot be written: {error}", path.display());
        } else {
            *self = next;
        }
        made.into_iter().map(|(from, ticket, fits)| (from, ticket, fits && written.is_ok())).collect()
    }

    /// False when the file is full.
    fn change(&mut self, what: Permanent) -> bool {
        match what {
            Permanent::Keep(spec) => {
                if self.kept.len() >= ROOMS_MAX && !self.kept.contains_key(&spec.room) {
                    error!("room {} is not permanent: the rooms file has {ROOMS_MAX} already", spec.room);
                    return false;
                }
                let table = RoomTable::of(&spec);
                // What could not be read would keep the next start from its rooms.
                if let Err(sentence) = table.spec(self.string_ids) {
                    error!("room {} is not permanent: {sentence}", spec.room);
                    return false;
                }
                self.destroyed.remove(&spec.room);
                self.kept.insert(spec.room.clone(), table);
            }
            Permanent::Forget(room) => {
                self.kept.remove(&room);
                if self.configured.contains(&room) {
                    self.destroyed.insert(room);
                }
            }
        }
        true
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let destroyed = self.destroyed.iter().map(RoomTable::named).collect();
        let contents = Contents { destroyed, room: self.kept.values().cloned().collect() };
        let text = toml::to_string(&contents).map_err(io::Error::other)?;
        if text.len() > BYTES_MAX {
            return Err(io::Error::other(format!("it would be longer than {BYTES_MAX} bytes")));
        }
        let mut next = OsString::from(path);
        next.push(".new");
        // One that an interrupted run has left.
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // There are secrets in it.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
        file.write_all(HEAD.as_bytes())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        File::open(folder(path))?.sync_all()
    }
}

impl Clerk {
    /// Hands in a change. False when it cannot be taken: the queue is full.
    pub fn hand_in(&self, ticket: Ticket, what: Permanent) -> bool {
        self.changes.try_send(Change { from: self.signalling, ticket, what }).is_ok()
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

const HEAD: &str = "# Permanent rooms, written by portunus: comments and changes made while it runs are lost.\n";

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("portunus-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Folder(folder)
        }

        fn file(&self) -> PathBuf {
            self.0.join("rooms.toml")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn room(id: u64) -> RoomSpec {
        RoomSpec::new(RoomId::from(id))
    }

    fn do_all(file: &mut RoomsFile, path: &Path, what: Vec<Permanent>) -> Vec<bool> {
        let ticket = Ticket { slot: 0, generation: 0 };
        let changes = what.into_iter().map(|what| Change { from: SignallingId(0), ticket, what }).collect();
        file.carry_out(path, changes).into_iter().map(|(.., is_written)| is_written).collect()
    }

    fn ids(rooms: &[RoomSpec]) -> Vec<RoomId> {
        rooms.iter().map(|room| room.room.clone()).collect()
    }

    #[test]
    fn what_is_kept_is_there_again_over_what_is_configured() {
        let folder = Folder::new("kept");
        let path = folder.file();
        let mut rooms = vec![room(1), room(2)];
        let mut file = RoomsFile::read(&path, &mut rooms, false).unwrap();
        assert_eq!(rooms.len(), 2, "no file is an empty one");
        let mut changed = room(2);
        changed.pin = Some("p".into());
        let keep = |spec: &RoomSpec| Permanent::Keep(Box::new(spec.clone()));
        assert_eq!(do_all(&mut file, &path, vec![keep(&room(3)), keep(&changed), keep(&room(4))]), [true; 3]);
        let gone = [1, 4, 5].map(|id| Permanent::Forget(RoomId::from(id)));
        assert_eq!(do_all(&mut file, &path, gone.into()), [true; 3]);

        let mut rooms = vec![room(1), room(2)];
        let mut file = RoomsFile::read(&path, &mut rooms, false).unwrap();
        assert_eq!(rooms, [changed.clone(), room(3)]);
        assert_eq!(file.destroyed.len(), 1, "rooms that nobody configures need no grave");
        assert!(fs::read_to_string(&path).unwrap().starts_with(HEAD));

        let unreadable = room(u64::MAX);
        assert_eq!(do_all(&mut file, &path, vec![keep(&room(1)), keep(&unreadable)]), [true, false]);
        let mut rooms = vec![room(1), room(2)];
        RoomsFile::read(&path, &mut rooms, false).unwrap();
        assert_eq!(ids(&rooms), [1, 2, 3].map(RoomId::from), "it may be made again");
    }

    #[test]
    fn a_file_that_cannot_be_written_changes_nothing() {
        let folder = Folder::new("unwritten");
        let path = folder.0.join("absent").join("rooms.toml");
        assert!(RoomsFile::read(&path, &mut Vec::new(), false).is_err(), "that could never be written");
        let mut file = RoomsFile::default();
        assert_eq!(do_all(&mut file, &path, vec![Permanent::Keep(Box::new(room(3)))]), [false]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path.with_extension("toml.new"), "left behind").unwrap();
        assert_eq!(do_all(&mut file, &path, vec![Permanent::Keep(Box::new(room(4)))]), [true]);
        let mut rooms = Vec::new();
        RoomsFile::read(&path, &mut rooms, false).unwrap();
        assert_eq!(ids(&rooms), [RoomId::from(4)]);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn secrets_are_for_the_owner_of_the_file_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("mode");
        let path = folder.file();
        let mut file = RoomsFile::default();
        assert_eq!(do_all(&mut file, &path, vec![Permanent::Keep(Box::new(room(3)))]), [true]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_makes_no_sense_is_refused_with_its_name() {
        let folder = Folder::new("nonsense");
        let path = folder.file();
        for text in
            ["[[room]]\nroom = 0", "[[room]]\nroom = 1\n[[room]]\nroom = 1", "rooms = 1", "[[room]]\nroom = \"a\""]
        {
            fs::write(&path, text).unwrap();
            let error = RoomsFile::read(&path, &mut Vec::new(), false).unwrap_err();
            assert!(error.contains("rooms.toml"), "{error}");
        }
    }
}
