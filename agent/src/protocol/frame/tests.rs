//! Holds the Rust side of the protocol to `test/vectors/protocol.txt`, and to never panic on any bytes.
//!
//! The random tests print their seed; `PROTOCOL_FUZZ_SEED=… cargo test` replays a run, `PROTOCOL_FUZZ_ROUNDS` makes it longer.

use super::*;

const VECTORS: &str = include_str!("../../../../test/vectors/protocol.txt");

/// Lines of one sort as their first `count` fields after the sort's name and the rest of the line.
fn vectors(sort: &str, count: usize) -> Vec<Vec<&'static str>> {
    let lines: Vec<_> = VECTORS
        .lines()
        .filter_map(|line| line.strip_prefix(sort)?.strip_prefix(' '))
        .map(|line| line.splitn(count + 1, ' ').collect())
        .collect();
    assert!(!lines.is_empty());
    lines
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.trim_matches('-').len() / 2)
        .map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap())
        .collect()
}

fn kind(text: &str) -> FrameKind {
    match text {
        "0" => FrameKind::Control,
        "1" => FrameKind::Data,
        "2" => FrameKind::Extra,
        _ => panic!("unknown kind {}", text),
    }
}

/// Decodes as the receiver on this route does; None on the routes that are not the agent's.
fn decode_on(route: &str, bytes: &[u8]) -> Option<Result<Message, WireError>> {
    match route {
        "supervisor→agent" => Some(Message::decode(bytes)),
        "agent→supervisor" => Some(Message::decode_sent(bytes)),
        _ => None,
    }
}

#[test]
fn messages() {
    for line in vectors("message", 2) {
        let bytes = hex(line[1]);
        for decoded in line[0]
            .split(',')
            .filter_map(|route| decode_on(route, &bytes))
        {
            let message = decoded.unwrap();
            assert_eq!(format!("{:?}", message), line[2]);
            let mut encoded = Vec::new();
            message.encode(&mut encoded);
            assert_eq!(encoded, bytes, "{}", line[2]);

            let mut framed = Vec::new();
            encode_message(&mut framed, 7, &message).unwrap();
            let mut expected = Vec::new();
            encode_frame(&mut expected, 7, FrameKind::Control, &bytes).unwrap();
            assert_eq!(framed, expected);
        }
        for length in 0..bytes.len() {
            for route in line[0].split(',') {
                if let Some(decoded) = decode_on(route, &bytes[..length]) {
                    assert_eq!(
                        decoded,
                        Err(WireError::Truncated),
                        "{} bytes of {}",
                        length,
                        line[2]
                    );
                }
            }
        }
    }
}

#[test]
fn messages_that_the_agent_does_not_receive() {
    for line in vectors("message", 2) {
        if !line[0].contains("supervisor→agent") {
            assert_eq!(
                Message::decode(&hex(line[1])),
                Err(WireError::UnexpectedTag),
                "{}",
                line[2]
            );
        }
    }
}

#[test]
fn bad_messages() {
    for line in vectors("bad-message", 2) {
        if let Some(decoded) = decode_on(line[0], &hex(line[1])) {
            assert_eq!(decoded.unwrap_err().to_string(), line[2], "{}", line[1]);
        }
    }
}

#[test]
fn frames() {
    for line in vectors("frame", 3) {
        let stream = line[0].parse().unwrap();
        let (kind, payload, bytes) = (kind(line[1]), hex(line[2]), hex(line[3]));
        let mut encoded = Vec::new();
        encode_frame(&mut encoded, stream, kind, &payload).unwrap();
        assert_eq!(encoded, bytes);
        let mut decoder = FrameDecoder::default();
        decoder.push(&bytes);
        let payload = payload.as_slice();
        assert_eq!(
            decoder.next(),
            Ok(Some(Frame {
                stream,
                kind,
                payload
            }))
        );
        assert_eq!(decoder.next(), Ok(None));
        assert!(!decoder.partial());
    }
}

#[test]
fn bad_frames_fail_at_the_first_wrong_byte() {
    for line in vectors("bad-frame", 2) {
        let count: usize = line[0].parse().unwrap();
        let mut decoder = FrameDecoder::default();
        for (at, byte) in hex(line[1])[..count].iter().enumerate() {
            decoder.push(&[*byte]);
            let result = loop {
                match decoder.next() {
                    Ok(Some(_)) => continue,
                    result => break result,
                }
            };
            if at + 1 < count {
                assert_eq!(result, Ok(None), "after byte {} of {}", at + 1, line[1]);
            } else {
                assert_eq!(result.unwrap_err().to_string(), line[2], "{}", line[1]);
            }
        }
        assert!(decoder.next().is_err());
    }
}

#[test]
fn frames_that_must_not_be_sent() {
    let mut out = Vec::new();
    let refused = Err(WireError::FrameLength);
    assert_eq!(encode_frame(&mut out, 1, FrameKind::Data, &[]), refused);
    assert_eq!(
        encode_frame(&mut out, 1, FrameKind::Data, &[0; MAX_DATA_PAYLOAD + 1]),
        refused
    );
    assert_eq!(
        encode_frame(
            &mut out,
            1,
            FrameKind::Control,
            &vec![0; MAX_CONTROL_PAYLOAD + 1]
        ),
        refused
    );
    assert_eq!(
        encode_frame(&mut out, 0, FrameKind::Data, &[0]),
        Err(WireError::FrameStream)
    );
    let message = Message::BootFailed(crate::generated::messages::BootFailed {
        step: String::new(),
        errno: 0,
        message: "x".repeat(MAX_CONTROL_PAYLOAD),
    });
    assert_eq!(encode_message(&mut out, 0, &message), refused);
    assert_eq!(out, []);
}

#[test]
fn largest_frames() {
    let mut bytes = Vec::new();
    let (bulk, control) = (vec![1; MAX_DATA_PAYLOAD], vec![2; MAX_CONTROL_PAYLOAD]);
    encode_frame(&mut bytes, 1, FrameKind::Data, &bulk).unwrap();
    encode_frame(&mut bytes, 0, FrameKind::Control, &control).unwrap();
    let mut decoder = FrameDecoder::default();
    decoder.push(&bytes);
    assert_eq!(decoder.next().unwrap().unwrap().payload, bulk);
    assert_eq!(decoder.next().unwrap().unwrap().payload, control);
    decoder.push(&[0]);
    assert!(decoder.buffer.capacity() <= KEPT_CAPACITY);
}

/// Xorshift64*, Marsaglia 2003 and Vigna 2016: good enough to choose test inputs, and needs no crate.
struct Random(u64);

impl Random {
    /// The seed and how many rounds to run, from the environment when given there.
    fn seeded(rounds: u64) -> (Random, u64) {
        let number = |name| {
            std::env::var(name)
                .ok()
                .map(|text| text.parse::<u64>().unwrap())
        };
        let seed = number("PROTOCOL_FUZZ_SEED").unwrap_or(20240229).max(1);
        println!("PROTOCOL_FUZZ_SEED={}", seed);
        (
            Random(seed),
            number("PROTOCOL_FUZZ_ROUNDS").unwrap_or(rounds),
        )
    }

    /// 0 up to, not including, `limit`.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % limit
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(4) {
                0 => bytes.insert(at, self.below(256) as u8),
                1 => bytes.truncate(at),
                2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                _ if at < bytes.len() => bytes[at] = [0, 1, 2, 127, 128, 255][self.below(6)],
                _ => {}
            }
        }
    }
}

#[test]
fn any_chunking_gives_the_same_frames() {
    let (mut random, rounds) = Random::seeded(200);
    for _ in 0..rounds {
        let mut sent = Vec::new();
        let mut bytes = Vec::new();
        for _ in 0..1 + random.below(12) {
            let kind = [FrameKind::Control, FrameKind::Data, FrameKind::Extra][random.below(3)];
            let stream = 1 + random.below(5) as u32;
            let limit = [2, 20, 3000][random.below(3)];
            let length = 1 + random.below(limit);
            let payload = random.bytes(length);
            encode_frame(&mut bytes, stream, kind, &payload).unwrap();
            sent.push((stream, kind, payload));
        }
        let mut received = Vec::new();
        let mut decoder = FrameDecoder::default();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let limit = [1, 12, 5000][random.below(3)];
            let (chunk, after) = rest.split_at((1 + random.below(limit)).min(rest.len()));
            decoder.push(chunk);
            while let Some(frame) = decoder.next().unwrap() {
                received.push((frame.stream, frame.kind, frame.payload.to_vec()));
            }
            rest = after;
        }
        assert_eq!(received, sent);
        assert!(!decoder.partial());
    }
}

#[test]
fn hostile_streams_and_messages_never_panic() {
    let (mut random, rounds) = Random::seeded(5000);
    let messages: Vec<_> = vectors("message", 2)
        .iter()
        .map(|line| hex(line[1]))
        .collect();
    let mut accepted = 0;
    for _ in 0..rounds {
        let mut bytes = messages[random.below(messages.len())].clone();
        random.mutate(&mut bytes);
        if let Ok(message) = Message::decode(&bytes) {
            // What is accepted has one form only.
            let mut encoded = Vec::new();
            message.encode(&mut encoded);
            assert_eq!(encoded, bytes);
            accepted += 1;
        }
        let _ = Message::decode_sent(&bytes);

        let mut stream = Vec::new();
        if encode_frame(&mut stream, 1, FrameKind::Control, &bytes).is_ok() {
            random.mutate(&mut stream);
        }
        let mut decoder = FrameDecoder::default();
        decoder.push(&stream);
        while let Ok(Some(frame)) = decoder.next() {
            assert!(!frame.payload.is_empty());
        }
    }
    assert!(accepted > 0 && accepted < rounds);
}

#[test]
fn what_a_pipe_holds_is_cut_into_frames_as_if_they_were_encoded_one_by_one() {
    let bytes: Vec<u8> = (0..2 * MAX_DATA_PAYLOAD + 5).map(|at| at as u8).collect();
    let (reader, writer) = crate::sys::pipe().unwrap();
    crate::sys::widen_pipe(&writer, 4 * MAX_DATA_PAYLOAD).unwrap();
    for count in [1, MAX_DATA_PAYLOAD, MAX_DATA_PAYLOAD + 1, bytes.len()] {
        crate::sys::write(&writer, &bytes[..count]).unwrap();
        // What is queued already stays, and what is beyond the limit waits.
        let (mut out, mut expected) = (vec![7, 8], vec![7, 8]);
        let most = count - count / 3;
        let frames = [&bytes[..most], &bytes[most..count]];
        for part in frames.iter().filter(|part| !part.is_empty()) {
            let read = read_frames(&mut out, 3, FrameKind::Extra, &reader, part.len());
            assert_eq!(read.unwrap(), part.len());
            for payload in part.chunks(MAX_DATA_PAYLOAD) {
                encode_frame(&mut expected, 3, FrameKind::Extra, payload).unwrap();
            }
        }
        assert!(out == expected, "{count} bytes");
    }
    drop(writer);
    let mut out = Vec::new();
    let end = read_frames(&mut out, 3, FrameKind::Data, &reader, 100);
    assert_eq!((end.unwrap(), out.len()), (0, 0));
}
