//! Holds the agent's streams to `test/vectors/protocol.txt`, to credit, and to never panic on any frames.

use super::*;
use crate::generated::limits::{CREDIT_PORTIONS, MAX_DATA_PAYLOAD};
use crate::generated::messages::{Exec, OutOfMemory, Ping, Pong, Signal, StdinMode};
use crate::protocol::frame::{encode_frame, encode_message, FrameDecoder};
use crate::sys;

const VECTORS: &str = include_str!("../../../../test/vectors/protocol.txt");

fn exec() -> Message {
    Message::Exec(Exec {
        argv: Vec::new(),
        env: Vec::new(),
        cwd: String::new(),
        user: String::new(),
        tty: false,
        rows: 0,
        cols: 0,
        stdin: StdinMode::Pipe,
        rlimits: Vec::new(),
    })
}

fn failure() -> Failure {
    Failure {
        code: String::from("runtime"),
        message: String::new(),
        hint: String::new(),
        details: String::from("{}"),
    }
}

const ENDED: Message = Message::OutputsEnded;

/// Has the streams take a message of the supervisor's.
fn say(streams: &mut Streams, id: u32, message: &Message) -> Result<Event<'static>, Rule> {
    let mut payload = Vec::new();
    message.encode(&mut payload);
    let frame = Frame {
        stream: id,
        kind: FrameKind::Control,
        payload: &payload,
    };
    match streams.receive(&frame) {
        Ok(Event::Data(..)) => unreachable!(),
        Ok(Event::Connection(message)) => Ok(Event::Connection(message)),
        Ok(Event::Opened(id, message)) => Ok(Event::Opened(id, message)),
        Ok(Event::Message(id, message)) => Ok(Event::Message(id, message)),
        Ok(Event::Ended(id)) => Ok(Event::Ended(id)),
        Ok(Event::Writable(id, bytes)) => Ok(Event::Writable(id, bytes)),
        Ok(Event::Aborted(id, failure)) => Ok(Event::Aborted(id, failure)),
        Ok(Event::Nothing) => Ok(Event::Nothing),
        Err(fault) => Err(fault.rule),
    }
}

fn data(streams: &mut Streams, id: u32, kind: FrameKind, count: usize) -> Result<(), Rule> {
    let payload = vec![0; count];
    let frame = Frame {
        stream: id,
        kind,
        payload: &payload,
    };
    match streams.receive(&frame) {
        Ok(_) => Ok(()),
        Err(fault) => Err(fault.rule),
    }
}

/// Has stream 1 send so many bytes of a pipe.
fn forward(streams: &mut Streams, port: &mut Port, kind: FrameKind, count: usize) {
    let (from, to) = sys::pipe().unwrap();
    sys::write(&to, &vec![0; count]).unwrap();
    assert_eq!(
        streams.forward(port, 1, kind, (&from, count)).unwrap(),
        count
    );
}

/// The messages that were sent, as `{:?}` prints them, and for data its length.
fn sent(port: &mut Port) -> Vec<String> {
    let mut decoder = FrameDecoder::default();
    decoder.push(&port.take_queue());
    let mut list = Vec::new();
    while let Some(frame) = decoder.next().unwrap() {
        let what = match frame.kind {
            FrameKind::Control => format!("{:?}", Message::decode_sent(frame.payload).unwrap()),
            kind => format!("{kind:?} {}", frame.payload.len()),
        };
        list.push(format!("{}: {what}", frame.stream));
    }
    list
}

#[test]
fn what_the_supervisor_may_not_do() {
    let mut count = 0;
    for line in VECTORS
        .lines()
        .filter_map(|line| line.strip_prefix("bad-streams "))
    {
        let fields: Vec<_> = line.splitn(3, ' ').collect();
        if !fields[0].contains("supervisor→agent") {
            continue;
        }
        let bytes: Vec<u8> = (0..fields[1].len() / 2)
            .map(|at| u8::from_str_radix(&fields[1][at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        let mut decoder = FrameDecoder::default();
        decoder.push(&bytes);
        let mut streams = Streams::default();
        let mut refused = None;
        while let Some(frame) = decoder.next().unwrap() {
            assert_eq!(refused, None, "{line}: refused before the last frame");
            refused = streams
                .receive(&frame)
                .err()
                .map(|fault| fault.rule.to_string());
        }
        assert_eq!(refused.as_deref(), Some(fields[2]), "{line}");
        count += 1;
    }
    assert!(count > 15);
}

#[test]
fn a_stream_from_its_first_message_to_its_last() {
    let (mut streams, mut port) = (Streams::default(), Port::for_test());
    assert_eq!(say(&mut streams, 1, &exec()), Ok(Event::Opened(1, exec())));
    assert_eq!(data(&mut streams, 1, FrameKind::Data, 7), Ok(()));
    assert_eq!(say(&mut streams, 1, &Message::End), Ok(Event::Ended(1)));
    let signal = Message::Signal(Signal { signal: 9 });
    assert_eq!(
        say(&mut streams, 1, &signal),
        Ok(Event::Message(1, signal.clone()))
    );
    forward(&mut streams, &mut port, FrameKind::Extra, 5);
    streams.stop_sending(&mut port, 1);
    streams.send(&mut port, 1, &ENDED);
    // What is said after the last word is not said, and what met it on the way is passed over.
    streams.send(&mut port, 1, &ENDED);
    forward(&mut streams, &mut port, FrameKind::Data, 5);
    assert_eq!(
        sent(&mut port),
        ["1: Extra 5", "1: StopSending", "1: OutputsEnded"]
    );
    assert_eq!(say(&mut streams, 1, &signal), Ok(Event::Nothing));
    assert_eq!(data(&mut streams, 1, FrameKind::Data, 7), Ok(()));
    assert_eq!(say(&mut streams, 1, &exec()), Err(Rule::UsedBefore));
}

#[test]
fn credit_bounds_both_directions() {
    let (mut streams, mut port) = (Streams::default(), Port::for_test());
    say(&mut streams, 1, &exec()).unwrap();
    for _ in 0..INITIAL_CREDIT / MAX_DATA_PAYLOAD {
        data(&mut streams, 1, FrameKind::Data, MAX_DATA_PAYLOAD).unwrap();
        forward(&mut streams, &mut port, FrameKind::Data, MAX_DATA_PAYLOAD);
    }
    assert_eq!(streams.credit(1), 0);
    port.take_queue();
    streams.consume(&mut port, 1, INITIAL_CREDIT / CREDIT_PORTIONS - 1);
    assert_eq!(sent(&mut port), [] as [&str; 0]);
    streams.consume(&mut port, 1, 1);
    let portion = INITIAL_CREDIT / CREDIT_PORTIONS;
    let credit = format!("1: Credit(Credit {{ bytes: {portion} }})");
    assert_eq!(sent(&mut port), [credit]);
    data(&mut streams, 1, FrameKind::Data, portion).unwrap();
    assert_eq!(
        data(&mut streams, 1, FrameKind::Data, 1),
        Err(Rule::MoreThanCredit)
    );
    let credit = |bytes| Message::Credit(Credit { bytes });
    assert_eq!(
        say(&mut streams, 1, &credit(INITIAL_CREDIT as u32)),
        Ok(Event::Writable(1, INITIAL_CREDIT))
    );
    assert_eq!(streams.credit(1), INITIAL_CREDIT);
    assert_eq!(say(&mut streams, 1, &credit(1)), Err(Rule::CreditNotEarned));
}

#[test]
fn who_wants_no_more_data_holds_nothing_up() {
    let (mut streams, mut port) = (Streams::default(), Port::for_test());
    say(&mut streams, 1, &exec()).unwrap();
    forward(&mut streams, &mut port, FrameKind::Data, MAX_DATA_PAYLOAD);
    port.take_queue();
    say(&mut streams, 1, &Message::StopSending).unwrap();
    assert!(streams.credit(1) > INITIAL_CREDIT);
    forward(&mut streams, &mut port, FrameKind::Data, 9);
    assert_eq!(sent(&mut port), [] as [&str; 0]);
}

#[test]
fn the_supervisor_aborts_and_the_agent_has_the_last_word() {
    let (mut streams, mut port) = (Streams::default(), Port::for_test());
    say(&mut streams, 1, &exec()).unwrap();
    let abort = Message::Failure(failure());
    assert_eq!(
        say(&mut streams, 1, &abort),
        Ok(Event::Aborted(1, failure()))
    );
    streams.send(&mut port, 1, &abort);
    assert_eq!(say(&mut streams, 1, &abort), Ok(Event::Nothing));
    streams.send(&mut port, 1, &ENDED);
    assert_eq!(sent(&mut port).len(), 1);
}

#[test]
fn the_copy_of_a_guest_meets_a_supervisor_that_counts_from_one() {
    let (mut streams, mut port) = (Streams::default(), Port::for_test());
    let ping = Message::Ping(Ping { nonce: 1 });
    say(&mut streams, 1, &ping).unwrap();
    // Not while a stream of the earlier one is open.
    streams.meet_supervisor();
    assert_eq!(say(&mut streams, 1, &ping), Err(Rule::NotOfService));
    streams.send(&mut port, 1, &Message::Pong(Pong { nonce: 1 }));
    assert_eq!(say(&mut streams, 1, &ping), Err(Rule::UsedBefore));
    streams.open(&mut port, &Message::Events);
    streams.meet_supervisor();
    assert!(matches!(
        say(&mut streams, 1, &ping),
        Ok(Event::Opened(1, _))
    ));
}

#[test]
fn streams_of_the_agents_own() {
    let (mut streams, mut port) = (Streams::default(), Port::for_test());
    say(&mut streams, 1, &exec()).unwrap();
    assert_eq!(streams.open(&mut port, &Message::Events), 2);
    assert_eq!(streams.open(&mut port, &Message::Events), 4);
    let event = Message::OutOfMemory(OutOfMemory { kills: 1 });
    streams.send(&mut port, 2, &event);
    // The supervisor accepted it, so that its failure is the last word.
    let abort = Message::Failure(failure());
    assert_eq!(say(&mut streams, 2, &abort), Ok(Event::Nothing));
    streams.send(&mut port, 2, &event);
    streams.send(&mut port, 4, &Message::PowerOff);
    assert_eq!(
        sent(&mut port),
        [
            "2: Events",
            "4: Events",
            "2: OutOfMemory(OutOfMemory { kills: 1 })",
            "4: PowerOff"
        ]
    );
    assert_eq!(say(&mut streams, 2, &abort), Err(Rule::NotOpen));
    assert_eq!(
        say(&mut streams, 4, &Message::Signal(Signal { signal: 1 })),
        Err(Rule::NotOfService)
    );
}

#[test]
fn a_flood_of_questions_leaves_nothing_behind() {
    let (mut streams, mut port) = (Streams::default(), Port::for_test());
    for nonce in 0..10_000 {
        let id = 2 * nonce + 1;
        say(&mut streams, id, &Message::Ping(Ping { nonce })).unwrap();
        streams.send(&mut port, id, &Message::Pong(Pong { nonce }));
    }
    assert!(streams.open.is_empty());
    assert_eq!(sent(&mut port).len(), 10_000);
}

/// Xorshift64*, Marsaglia 2003 and Vigna 2016.
fn below(state: &mut u64, limit: usize) -> usize {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    ((state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % limit
}

#[test]
fn any_frames_end_in_a_fault_at_worst_and_hold_little() {
    let seed = std::env::var("PROTOCOL_FUZZ_SEED").map_or(20240229, |text| text.parse().unwrap());
    println!("PROTOCOL_FUZZ_SEED={seed}");
    let mut random: u64 = seed;
    let said = [
        exec(),
        Message::Ping(Ping { nonce: 1 }),
        Message::StatsRequest,
        Message::Signal(Signal { signal: 9 }),
        Message::Credit(Credit { bytes: 1 }),
        Message::End,
        Message::StopSending,
        Message::Failure(failure()),
    ];
    let (mut faults, mut survived) = (0, 0);
    for _ in 0..2000 {
        let (mut streams, mut port) = (Streams::default(), Port::for_test());
        streams.open(&mut port, &Message::Events);
        let mut next = 1;
        let mut result = Ok(());
        let mut opened = 1;
        for _ in 0..below(&mut random, 20) {
            let message = &said[below(&mut random, said.len())];
            let opens = Service::opened_by(message).is_some();
            let id = match below(&mut random, 15) {
                0 => below(&mut random, next as usize + 4) as u32,
                _ if opens || next == 1 => next,
                _ => 1,
            };
            let mut bytes = Vec::new();
            if below(&mut random, 3) == 0 && id > 0 && next > 1 {
                let kind = [FrameKind::Data, FrameKind::Extra][below(&mut random, 9) / 8];
                let payload = vec![0; 1 + below(&mut random, 60_000)];
                encode_frame(&mut bytes, id, kind, &payload).unwrap();
            } else {
                let message = if next == 1 { &said[0] } else { message };
                encode_message(&mut bytes, id, message).unwrap();
                next += if id == next { 2 } else { 0 };
            }
            let mut decoder = FrameDecoder::default();
            decoder.push(&bytes);
            let frame = decoder.next().unwrap().unwrap();
            match streams.receive(&frame) {
                Ok(Event::Data(id, _, payload)) => {
                    streams.consume(&mut port, id, payload.len() * below(&mut random, 2))
                }
                Ok(Event::Aborted(id, failure)) => {
                    streams.send(&mut port, id, &Message::Failure(failure))
                }
                Ok(Event::Opened(..)) => opened += 1,
                Ok(_) => {}
                Err(fault) => {
                    result = Err(fault);
                    break;
                }
            }
            assert!(streams.open.len() <= opened);
            assert!(streams
                .open
                .values()
                .all(|stream| stream.window + stream.owed <= INITIAL_CREDIT
                    && stream.credit <= INITIAL_CREDIT));
        }
        match result {
            Ok(()) => survived += 1,
            Err(_) => faults += 1,
        }
    }
    assert!(faults > 0 && survived > 0, "{faults} and {survived}");
}
