//! Messages, there and back; and messages that a stranger may have written.

use proptest::prelude::*;
use serde::{Deserialize as _, de::IgnoredAny};

use super::*;
use crate::model::{
    input::{Answer, Checked, Exit},
    socket::{Socket, Timer, TimerKind},
};

/// The source of test values: bytes, and zeros behind them, so that few bytes make simple values.
#[derive(Debug)]
pub(super) struct Chance(std::vec::IntoIter<u8>);

impl Chance {
    pub(super) fn byte(&mut self) -> u8 {
        self.0.next().unwrap_or(0)
    }

    /// A number of any length that numbers can have.
    pub(super) fn number(&mut self) -> u64 {
        let len = self.byte() % 9;
        (0..len).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    pub(super) fn of(&mut self, all: &[u64]) -> u64 {
        all[usize::from(self.byte()) % all.len()]
    }

    pub(super) fn text(&mut self) -> String {
        let letters: Vec<u8> = (0..self.byte() % 40).map(|_| self.byte()).collect();
        String::from_utf8_lossy(&letters).into_owned()
    }
}

/// Kinds that a message can have.
const KINDS: u8 = 16;

/// An input of a kind as text, and its message.
fn message(kind: u8, entry: &[u8], chance: &mut Chance) -> (String, Vec<u8>) {
    let input = match kind {
        0 => Input::Entry(entry),
        1 => Input::Released(Wire::some(chance)),
        2 => Input::Process(Wire::some(chance)),
        3 => Input::Namespace(Wire::some(chance)),
        4 => Input::FirstDump(Wire::some(chance)),
        5 => Input::DumpBegins,
        6 => Input::Dumped { dump: Wire::some(chance), is_first: Wire::some(chance) },
        7 => Input::PollBegins,
        8 => Input::Polled(Wire::some(chance)),
        9 => Input::Scanned(Wire::some(chance)),
        10 => Input::Checked(Wire::some(chance)),
        11 => Input::Counted(Wire::some(chance)),
        12 => Input::Ended(Wire::some(chance)),
        13 => Input::Exited(Wire::some(chance)),
        14 => Input::Device(Wire::some(chance)),
        _ => Input::Clock(Wire::some(chance)),
    };
    let mut out = Vec::new();
    write_input(&input, &mut out);
    (format!("{input:?}"), out)
}

/// How many bytes the first value of a message has, as another reader of MessagePack sees it.
fn len_of_value(message: &[u8]) -> Option<usize> {
    let mut rest = message;
    IgnoredAny::deserialize(&mut rmp_serde::Deserializer::new(&mut rest)).ok()?;
    Some(message.len() - rest.len())
}

/// The same for our own reader.
fn skipped(message: &[u8]) -> Option<usize> {
    let mut input = Bytes::new(message);
    input.skip().ok()?;
    Some(message.len() - input.left())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn inputs_come_back(bytes in prop::collection::vec(any::<u8>(), 0..2_000), entry in prop::collection::vec(any::<u8>(), 0..300)) {
        for kind in 0..KINDS {
            let (shown, message) = message(kind, &entry, &mut Chance(bytes.clone().into_iter()));
            prop_assert_eq!(len_of_value(&message), Some(message.len()), "it is MessagePack");
            prop_assert_eq!(skipped(&message), Some(message.len()));
            let read = read_input(&message).map_err(|malformed| TestCaseError::fail(malformed.text()))?;
            prop_assert_eq!(format!("{read:?}"), shown);
        }
    }

    #[test]
    fn headers_come_back(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        let header = Header::some(&mut Chance(bytes.into_iter()));
        let mut message = Vec::new();
        write_header(&header, &mut message);
        prop_assert_eq!(len_of_value(&message), Some(message.len()));
        prop_assert_eq!(read_header(&message), Ok(header));
    }

    /// Random bytes, and messages with changes.
    #[test]
    fn nothing_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        kind in 0..KINDS,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let _ = read_input(&bytes);
        let _ = read_header(&bytes);
        // The other reader does not read extension types.
        let len = len_of_value(&bytes);
        prop_assert!(len.is_none() || skipped(&bytes) == len);
        let (_, mut message) = message(kind, &bytes, &mut Chance(bytes.clone().into_iter()));
        for (place, byte) in changes {
            let place = place.index(message.len());
            message[place] = byte;
        }
        let _ = read_input(&message);
    }

    /// Numbers of every size, as both readers see them.
    #[test]
    fn numbers_are_those_of_others(number in any::<u64>(), shift in 0..64, signed in any::<i64>()) {
        let (number, signed, mut out) = (number >> shift, signed >> shift, Vec::new());
        put::uint(&mut out, number);
        prop_assert_eq!(&out, &rmp_serde::to_vec(&number).expect("bytes"));
        out.clear();
        put::int(&mut out, signed);
        prop_assert_eq!(rmp_serde::from_slice::<i64>(&out).expect("a number"), signed);
        prop_assert_eq!(Bytes::new(&rmp_serde::to_vec(&signed).expect("bytes")).int(), Ok(signed));
    }
}

/// Lengths at which the head of a value changes.
#[test]
fn heads_of_every_length() {
    for len in [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        let (mut out, text) = (Vec::new(), "x".repeat(len));
        put::text(&mut out, &text);
        assert_eq!(out, rmp_serde::to_vec(&text).expect("bytes"), "{len}");
        assert_eq!(Bytes::new(&out).bytes(), Ok(text.as_bytes()));
        let (mut out, numbers) = (Vec::new(), vec![7_u32; len]);
        numbers.write(&mut out);
        assert_eq!(out, rmp_serde::to_vec(&numbers).expect("bytes"), "{len}");
        assert_eq!(Vec::read(&mut Bytes::new(&out)), Ok(numbers));
        let (mut out, bytes) = (Vec::new(), vec![7_u8; len]);
        bytes.write(&mut out);
        assert_eq!((len_of_value(&out), skipped(&out)), (Some(out.len()), Some(out.len())), "{len}");
        assert_eq!(Vec::read(&mut Bytes::new(&out)), Ok(bytes));
        let map: std::collections::HashMap<u64, u64> = (0..len as u64).map(|key| (key, key)).collect();
        let mut out = Vec::new();
        map.write(&mut out);
        assert_eq!((len_of_value(&out), skipped(&out)), (Some(out.len()), Some(out.len())), "{len}");
        assert_eq!(Wire::read(&mut Bytes::new(&out)), Ok(map));
    }
}

/// An entry costs no more than its head: kind, length and bytes.
#[test]
fn an_entry_is_what_the_kernel_made() {
    let (mut out, entry) = (Vec::new(), [7; 300]);
    write_input(&Input::Entry(&entry), &mut out);
    assert_eq!(out, [&[0x81, 0, 0xc5, 1, 44][..], &entry].concat());
    let Ok(Input::Entry(read)) = read_input(&out) else { panic!("an entry") };
    assert!(std::ptr::eq(read, &raw const out[5..]), "it is not copied");
}

#[test]
fn kinds_and_choices_of_later_versions_are_unknown() {
    for message in [&[0x81, KINDS, 0xc0][..], &[KINDS], &[0xcd, 1, 0], &[0x81, 0xcc, 200, 0x93, 1, 2, 3]] {
        assert_eq!(read_input(message).err(), Some(Malformed::Unknown), "{message:?}");
    }
    let mut message = Vec::new();
    write_input(&Input::Unknown, &mut message);
    assert_eq!(read_input(&message).err(), Some(Malformed::Unknown));
    // A later dump. Its first field is the dump, whose first field is a scope that is new.
    assert_eq!(read_input(&[0x81, 6, 0x91, 0x91, 9]).err(), Some(Malformed::Unknown));
    // Versions before 5 have names, all of which are known.
    assert!(matches!(read_input(b"\x81\xa3New\xc0"), Err(Malformed::Because(_))));
}

#[test]
fn fields_of_later_versions_are_left_out_and_missing_ones_are_absent() {
    // Behind the known fields, a map of an array, and a text; and a byte behind the structure.
    let message = [0x95, 3, 0xc0, 5, 0x81, 1, 0x92, 1, 2, 0xa1, b'x', 7];
    let mut input = Bytes::new(&message);
    let read = Timer::read(&mut input).expect("a timer");
    assert_eq!(read, Timer { kind: TimerKind::Persist, expires_ms: 0, retransmits: 5 });
    assert_eq!(input.left(), 1);
    assert_eq!(Socket::read(&mut Bytes::new(&[0x90])), Ok(Socket::absent()));
    let header = read_header(&[0x90]).expect("a header");
    assert!(header.resets && !header.little_endian, "unless something else is said");
    let known = [&[0xdc, 0, 19][..], &[0xc0; 18], &[0xc2]].concat();
    assert!(!read_header(&known).expect("a header").resets);
}

/// Versions before 5: structures as elements, choices by name, bytes as elements.
#[test]
fn older_messages_are_read() {
    let read = |message: &[u8]| format!("{:?}", read_input(message).expect("an input"));
    let shown = |input: Input<'_>| format!("{input:?}");
    assert_eq!(read(b"\x81\xa5Entry\xc4\x03abc"), shown(Input::Entry(b"abc")));
    assert_eq!(read(b"\xabListOrdered"), shown(Input::DumpBegins));
    assert_eq!(
        read(b"\x81\xa6Device\x93\x05\x92\x01\x02\xa4eth0"),
        shown(Input::Device(Answer { from_ns: 5, key: (1, 2), value: Some("eth0".into()) }))
    );
    assert_eq!(
        read(b"\x81\xa6Exited\x92\x92\x07\xc0\x09"),
        shown(Input::Exited(Exit { process: (7, None), by_ns: 9 }))
    );
    // Without a level, which only later versions have.
    assert_eq!(
        read(b"\x81\xa7Checked\x94\x05\x95\x00\x00\x00\x00\x06\x92\x01\x02\x91\x92\xc0\x03"),
        shown(Input::Checked(Checked {
            now_ns: 5,
            lost: crate::model::loss::Lost { others: 6, ..Default::default() },
            half_open: (1, 2),
            retries: vec![(None, 3)],
            level: 0,
        }))
    );
}

/// A small message does not become much memory.
#[test]
fn memory_is_bounded_by_the_message() {
    // A poll with this number of connections, each of them absent.
    let pending = 1_000_000_u32;
    let mut message = vec![0x81, 8, 0x93, 0xc0, 0xc0, 0xdd];
    message.extend(pending.to_be_bytes());
    message.extend(std::iter::repeat_n(0x90, pending as usize));
    assert!(matches!(read_input(&message), Err(Malformed::Because(why)) if why.contains("more elements")));
    // A forged length.
    assert!(read_input(&[0x81, 8, 0x93, 0xc0, 0xc0, 0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    assert!(read_input(&[0x81, 0, 0xc6, 0xff, 0xff, 0xff, 0xff]).is_err());
}
