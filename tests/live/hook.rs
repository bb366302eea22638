//! An operator's webhook: takes what it is posted, and gives it back when asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

pub struct Hook {
    pub at: SocketAddr,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    pub fn start() -> Hook {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let at = listener.local_addr().expect("it is bound");
        let events = Arc::new(Mutex::new(Vec::new()));
        let taken = events.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream = BufReader::new(stream);
                while let Some(content) = read(&mut stream) {
                    let group: Vec<Value> = serde_json::from_slice(&content).expect("a group of events");
                    taken.lock().expect("nobody panics with it").extend(group);
                    let answered = stream.get_mut().write_all(b"HTTP/1.1 204 Taken\r\n\r\n");
                    if answered.is_err() {
                        break;
                    }
                }
            }
        });
        Hook { at, events }
    }

    pub fn events(&self) -> Vec<Value> {
        self.events.lock().expect("nobody panics with it").clone()
    }
}

fn read(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
        match line.trim_end() {
            "" => break,
            line => length = line.strip_prefix("Content-Length: ").map_or(length, |digits| digits.parse().unwrap()),
        }
    }
    let mut content = vec![0; length];
    stream.read_exact(&mut content).ok().map(|()| content)
}
