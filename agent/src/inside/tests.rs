use super::*;
use crate::generated::messages::Message;
use std::io::{Read, Write};
use std::net::Shutdown;

const TOKEN: u64 = FIRST_TOKEN + 1;

/// One that a program is connected to, and the program's end.
fn connected() -> (Inside, Epoll, UnixStream) {
    let epoll = Epoll::new().unwrap();
    let mut inside = Inside::default();
    let (ours, theirs) = UnixStream::pair().unwrap();
    inside.connect(ours, &epoll);
    (inside, epoll, theirs)
}

/// Does everything there is to do; nobody takes what is for the supervisor.
fn settle(inside: &mut Inside, epoll: &Epoll) {
    let mut events = Vec::new();
    let (mut streams, mut port) = (Streams::default(), Port::for_test());
    loop {
        inside.pump(&mut streams, &mut port, epoll);
        let timeout = if inside.waiting() { 0 } else { 20 };
        epoll.wait(&mut events, timeout).unwrap();
        if events.is_empty() && !inside.waiting() {
            return;
        }
        for token in &events {
            inside.event(*token, epoll);
        }
    }
}

fn told(inside: &mut Inside, epoll: &Epoll, name: &str, data: &[u8]) -> (u32, u32) {
    let event = TellInside {
        name: String::from(name),
        time_ms: 7,
        data: data.to_vec(),
    };
    match inside.tell(&event, epoll) {
        Message::ToldInside(told) => (told.listeners, told.missed),
        other => panic!("{other:?}"),
    }
}

fn read_now(stream: &mut UnixStream) -> String {
    stream.set_nonblocking(true).unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn events_become_records_in_order_while_somebody_listens() {
    let (mut inside, epoll, mut theirs) = connected();
    theirs.write_all(b"{\"event\":\"unheard\"}\n").unwrap();
    settle(&mut inside, &epoll);
    assert!(inside.out.is_empty());
    inside.listen(5);
    theirs
        .write_all(b"{\"event\":\"a\",\"data\":[1]}\n{\"event\":\"b\"}")
        .unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    settle(&mut inside, &epoll);
    let first = b"\0\0\0\x0f\0\0\0\0\0\0\0\0\0\0\x01a[1]";
    let second = b"\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\x01b";
    assert_eq!(inside.out, [&first[..], &second[..]].concat());
    assert!(inside.connections.is_empty());
    assert_eq!(read_now(&mut theirs), "");
    inside.abort(5);
    assert!(inside.out.is_empty());
}

#[test]
fn what_is_wrong_is_told_and_costs_nobody_else() {
    let (mut inside, epoll, mut theirs) = connected();
    inside.listen(5);
    theirs
        .write_all(b"nonsense\n{\"event\":\"fine\"}\n")
        .unwrap();
    settle(&mut inside, &epoll);
    assert_eq!(
        read_now(&mut theirs),
        "{\"error\":\"it is no JSON object\"}\n"
    );
    assert!(inside.out.ends_with(b"fine"));
}

#[test]
fn a_line_without_an_end_costs_its_connection() {
    let (mut inside, epoll, mut theirs) = connected();
    let writer = std::thread::spawn(move || {
        let _ = theirs.write_all(&vec![b'x'; 4 << 20]);
        read_now(&mut theirs)
    });
    while !inside.connections.is_empty() {
        settle(&mut inside, &epoll);
    }
    assert_eq!(
        writer.join().unwrap(),
        "{\"error\":\"a line is too long\"}\n"
    );
}

#[test]
fn listeners_are_told_in_order_and_of_what_they_missed() {
    let (mut inside, epoll, mut theirs) = connected();
    theirs.write_all(b"{\"subscribe\":[\"a*\"]}\n").unwrap();
    settle(&mut inside, &epoll);
    assert_eq!(read_now(&mut theirs), "{\"subscribed\":[\"a*\"]}\n");
    assert_eq!(told(&mut inside, &epoll, "b", b""), (0, 0));
    assert_eq!(told(&mut inside, &epoll, "ab", b"{\"x\":1}"), (1, 0));
    assert_eq!(
        read_now(&mut theirs),
        "{\"event\":\"ab\",\"data\":{\"x\":1},\"time\":7}\n"
    );
    let large = [b"\"".to_vec(), vec![b'x'; 1 << 20], b"\"".to_vec()].concat();
    let mut missed = 0;
    for _ in 0..5 {
        missed += told(&mut inside, &epoll, "a", &large).1;
    }
    assert!(missed >= 3);
    assert!(inside.connections[&TOKEN].unread() <= 2 << 20);
    let mut all = String::new();
    while !all.ends_with(&format!("{{\"dropped\":{missed}}}\n")) {
        all.push_str(&read_now(&mut theirs));
        settle(&mut inside, &epoll);
    }
    assert_eq!(all.lines().count(), 5 - missed as usize + 1);
}

#[test]
fn one_who_has_said_its_last_listens_on_until_it_leaves() {
    let (mut inside, epoll, mut theirs) = connected();
    theirs.write_all(b"{\"subscribe\":\"a\"}").unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    settle(&mut inside, &epoll);
    assert_eq!(told(&mut inside, &epoll, "a", b"1"), (1, 0));
    drop(theirs);
    settle(&mut inside, &epoll);
    assert!(inside.connections.is_empty());
}

#[test]
fn one_user_cannot_have_all_connections() {
    let epoll = Epoll::new().unwrap();
    let mut inside = Inside::default();
    let mut ends = Vec::new();
    for _ in 0..MOST_OF_A_USER + 1 {
        let (ours, theirs) = UnixStream::pair().unwrap();
        inside.connect(ours, &epoll);
        ends.push(theirs);
    }
    assert_eq!(inside.connections.len(), MOST_OF_A_USER);
    let mut last = ends.pop().unwrap();
    assert_eq!(
        read_now(&mut last),
        "{\"error\":\"there are too many connections\"}\n"
    );
}

#[test]
fn what_is_begun_and_not_ended_has_a_bound() {
    let epoll = Epoll::new().unwrap();
    let mut inside = Inside::default();
    let mut writers = Vec::new();
    for _ in 0..24 {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        inside.connect(ours, &epoll);
        writers.push(std::thread::spawn(move || {
            let _ = theirs.write_all(&vec![b' '; 1 << 20]);
            theirs
        }));
    }
    while writers.iter().any(|writer| !writer.is_finished()) {
        settle(&mut inside, &epoll);
    }
    settle(&mut inside, &epoll);
    let begun: usize = inside.connections.values().map(Connection::begun).sum();
    assert!(begun <= MOST_BEGUN && begun > MOST_BEGUN / 2, "{begun}");
    drop(writers);
}

#[test]
fn reads_no_more_than_the_supervisor_takes() {
    let (mut inside, epoll, mut theirs) = connected();
    inside.listen(5);
    theirs.set_nonblocking(true).unwrap();
    let line = format!(
        "{{\"event\":\"flood\",\"data\":\"{}\"}}\n",
        "x".repeat(1000)
    );
    let mut said = 0;
    // Until it takes no more.
    for _ in 0..20_000 {
        match theirs.write(line.as_bytes()) {
            Ok(count) => said += count,
            Err(_) => break,
        }
        settle(&mut inside, &epoll);
    }
    assert!(said < 2 << 20, "{said}");
    assert!(inside.out.len() < OUT_BOUND + (128 << 10));
}
