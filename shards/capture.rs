//! Captured packets on disk: each capture has a new file below one folder, a ring of bytes that its media shard fills
//! without waiting, and a thread that empties the ring into the file. The files of one process at a time are few.

use portunus::control::capture::{CaptureFolder, CaptureSink, Put};
use portunus::limits::{CAPTURE_RING_BYTES, CAPTURES_MAX};
use rtrb::{Consumer, Producer, RingBuffer};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tracing::{info, warn};

/// How often a ring is looked into that was empty.
const PAUSE: Duration = Duration::from_millis(10);

/// Where captures may be.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Held by every thread that writes.
    writing: Arc<()>,
}

/// A capture's end in its media shard.
#[derive(Debug)]
struct Sink(Producer<u8>);

impl Folder {
    /// A folder that is there.
    pub fn new(root: PathBuf) -> Folder {
        Folder { root, writing: Arc::new(()) }
    }

    fn open(&self, path: &[&str]) -> io::Result<(PathBuf, File)> {
        let path: PathBuf = std::iter::once(self.root.as_path()).chain(path.iter().map(Path::new)).collect();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Packets are private, and nothing that is there is written over.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((path, file))
    }
}

impl CaptureFolder for Folder {
    fn create(&self, path: &[&str]) -> Result<Box<dyn CaptureSink>, String> {
        let permit = self.writing.clone();
        if Arc::strong_count(&permit) > CAPTURES_MAX + 1 {
            return Err(format!("{CAPTURES_MAX} captures are running"));
        }
        let cannot = |error: io::Error| format!("cannot open {}: {error}", path.join("/"));
        let (path, file) = self.open(path).map_err(cannot)?;
        let empty = path.clone();
        let (sink, ring) = RingBuffer::new(CAPTURE_RING_BYTES);
        let run = move || {
            match write(file, ring) {
                Ok(0) => drop(fs::remove_file(&path)),
                Ok(bytes) => info!("captured {bytes} bytes in {}", path.display()),
                Err(error) => warn!("the capture {} ends: {error}", path.display()),
            }
            drop(permit);
        };
        thread::Builder::new().name("capture".into()).spawn(run).map_err(|error| {
            let _ = fs::remove_file(&empty);
            cannot(error)
        })?;
        Ok(Box::new(Sink(sink)))
    }
}

impl CaptureSink for Sink {
    fn put(&mut self, bytes: &[u8]) -> Put {
        if self.0.is_abandoned() {
            return Put::Ended;
        }
        match self.0.write_chunk_uninit(bytes.len()) {
            Ok(chunk) => {
                chunk.fill_from_iter(bytes.iter().copied());
                Put::Taken
            }
            Err(_) => Put::Full,
        }
    }
}

/// Writes until the other end is gone and nothing is left; how many bytes.
fn write(mut file: File, mut ring: Consumer<u8>) -> io::Result<u64> {
    let mut written = 0;
    loop {
        // In this order: what came before the end is seen.
        let is_last = ring.is_abandoned();
        let waiting = ring.slots();
        match ring.read_chunk(waiting) {
            Ok(chunk) if waiting > 0 => {
                let (first, second) = chunk.as_slices();
                file.write_all(first)?;
                file.write_all(second)?;
                chunk.commit_all();
                written += waiting as u64;
            }
            _ if is_last => return Ok(written),
            _ => thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> (Folder, PathBuf) {
        let root = std::env::temp_dir().join(format!("portunus-capture-{name}-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        (Folder::new(root.clone()), root)
    }

    fn finish(folder: &Folder) {
        while Arc::strong_count(&folder.writing) > 1 {
            thread::sleep(PAUSE);
        }
    }

    #[test]
    fn what_was_put_is_in_the_file_when_the_sink_is_gone_and_nothing_is_written_over() {
        let (folder, root) = folder("whole");
        let mut sink = folder.create(&["below", "a.pcap"]).unwrap();
        for n in 0..100_u8 {
            assert_eq!(sink.put(&[n; 1000]), Put::Taken);
        }
        assert_eq!(sink.put(&vec![0; CAPTURE_RING_BYTES + 1]), Put::Full);
        assert!(folder.create(&["below", "a.pcap"]).unwrap_err().starts_with("cannot open below/a.pcap: "));
        drop(sink);
        finish(&folder);
        let bytes = fs::read(root.join("below/a.pcap")).unwrap();
        assert_eq!(bytes, (0..100).flat_map(|n| [n; 1000]).collect::<Vec<u8>>());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_capture_without_a_byte_leaves_no_file_and_only_so_many_run() {
        let (folder, root) = folder("few");
        let names: Vec<String> = (0..CAPTURES_MAX).map(|n| n.to_string()).collect();
        let sinks: Vec<_> = names.iter().map(|name| folder.create(&[name]).unwrap()).collect();
        assert!(folder.create(&["more"]).unwrap_err().ends_with("captures are running"));
        drop(sinks);
        finish(&folder);
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
        assert!(folder.create(&["more"]).is_ok());
        finish(&folder);
        fs::remove_dir_all(root).unwrap();
    }
}
