use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn http() -> Outputs {
    let mut outputs = Outputs::default();
    outputs.set_number(OutputId::RESP_TIME, 23.456);
    outputs.set_number(OutputId::STATUS, 200.0);
    outputs.set_number(OutputId::BODY_LEN, 1024.0);
    outputs.set_number(OutputId::DNS_TIME, 1.234);
    outputs.set_number(OutputId::CONNECT_TIME, 5.678);
    outputs.set_number(OutputId::FIRST_BYTE_TIME, 16.4);
    outputs.set_number(OutputId::TRANSFER_TIME, 0.143);
    outputs.set_text(OutputId::IP_ADDRESS, "192.0.2.17");
    outputs.set_text(OutputId::HTTP_VERSION, "1.1");
    outputs.set_number(OutputId::REDIRECTS, 0.0);
    outputs
}

fn dns(texts: &[&str]) -> Outputs {
    let mut outputs = Outputs::default();
    outputs.set_number(OutputId::RESP_TIME, 3.25);
    outputs.set_number(OutputId::RESULT_COUNT, texts.len() as f64);
    for (n, text) in texts.iter().enumerate() {
        outputs.set_text(OutputId::result(n + 1).unwrap(), *text);
    }
    outputs
}

#[track_caller]
fn round_trip(probe: ProbeType, outputs: &Outputs, value: Option<f32>) -> usize {
    let bytes = encode(probe, outputs, value);
    assert_eq!(decode(&bytes, value).as_ref(), Ok(outputs), "{bytes:02x?}");
    assert_eq!(probe_type(&bytes), Ok((!outputs.is_empty()).then_some(probe)));
    bytes.len()
}

fn tcp() -> Outputs {
    let mut outputs = Outputs::default();
    outputs.set_number(OutputId::RESP_TIME, 12.5);
    outputs.set_number(OutputId::DNS_TIME, 2.5);
    outputs.set_number(OutputId::CONNECT_TIME, 10.0);
    outputs.set_text(OutputId::IP_ADDRESS, "2001:db8::1");
    outputs
}

fn ping() -> Outputs {
    let mut outputs = Outputs::default();
    outputs.set_number(OutputId::MIN_RTT, 10.125);
    outputs.set_number(OutputId::AVG_RTT, 10.25);
    outputs.set_number(OutputId::MAX_RTT, 10.5);
    outputs.set_number(OutputId::PACKETS_RECV, 5.0);
    outputs.set_number(OutputId::PACKET_LOSS, 0.0);
    outputs.set_text(OutputId::IP_ADDRESS, "192.0.2.17");
    outputs
}

/// Bytes as they are stored somewhere already, worked out by hand. To be added to, not to be changed with the code.
#[test]
fn version_1_is_read_for_ever() {
    let cases: [(ProbeType, Outputs, f32, &[u8]); 4] = [
        (
            ProbeType::Http,
            http(),
            23.456,
            // 23.456 − 1.234 − 5.678 − 16.4 leaves 0.144: the transfer is one microsecond less.
            &[0xC1, 0x37, 0xFF, 0x80, 0x10, 0xD2, 0x09, 0xAE, 0x2C, 0x90, 0x80, 0x01, 0x01, 192, 0, 2, 17],
        ),
        (
            ProbeType::Tcp,
            tcp(),
            12.5,
            &[0xD1, 0x07, 0xC4, 0x13, 0x90, 0x4E, 1, 0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ),
        (ProbeType::Ping, ping(), 10.25, &[0xE1, 0xF7, 0x8D, 0x4F, 0x84, 0x52, 0x0A, 192, 0, 2, 17]),
        (
            ProbeType::Dns,
            dns(&["192.0.2.1", "a.example"]),
            3.25,
            &[0xF1, 0x03, 2, 0, 192, 0, 2, 1, 11, b'a', b'.', b'e', b'x', b'a', b'm', b'p', b'l', b'e'],
        ),
    ];
    for (probe, outputs, value, bytes) in cases {
        assert_eq!(decode(bytes, Some(value)), Ok(outputs.clone()), "{probe:?}");
        assert_eq!(encode(probe, &outputs, Some(value)), bytes, "{probe:?}");
    }
}

#[test]
fn a_usual_result_is_small() {
    // 19 bytes and fewer fit the row into 64 bytes, 27 and fewer into 72.
    assert!(round_trip(ProbeType::Http, &http(), Some(23.456)) <= 19);

    let mut https = http();
    https.set_number(OutputId::TLS_TIME, 31.25);
    https.set_number(OutputId::RESP_TIME, 54.706);
    https.set_number(OutputId::CERT_EXPIRY_DAYS, 81.0);
    https.set_text(OutputId::HTTP_VERSION, "2");
    assert!(round_trip(ProbeType::Http, &https, Some(54.706)) <= 27);

    let mut tcp = tcp();
    tcp.set_text(OutputId::IP_ADDRESS, "192.0.2.17");
    assert!(round_trip(ProbeType::Tcp, &tcp, Some(12.5)) <= 11);

    let mut ping = ping();
    assert!(round_trip(ProbeType::Ping, &ping, Some(10.25)) <= 11);
    ping.set_text(OutputId::IP_ADDRESS, "2001:db8::1");
    assert!(round_trip(ProbeType::Ping, &ping, Some(10.25)) <= 27);

    assert!(round_trip(ProbeType::Dns, &dns(&["192.0.2.1", "2001:db8::1"]), Some(3.25)) <= 27);
}

#[test]
fn no_outputs_are_no_bytes() {
    for probe in ProbeType::ALL {
        assert_eq!(round_trip(probe, &Outputs::default(), Some(1.0)), 0);
    }
}

#[test]
fn the_value_is_only_left_out_if_it_is_the_same_to_the_microsecond() {
    let mut outputs = Outputs::default();
    for ms in [0.0, 0.001, 16_777.216, 16_777.217, 59_999.999] {
        outputs.set_number(OutputId::RESP_TIME, ms);
        for value in [None, Some(ms as f32), Some(f32::NAN), Some(1.5)] {
            round_trip(ProbeType::Http, &outputs, value);
        }
    }
    let bytes = encode(ProbeType::Http, &http(), Some(23.456));
    assert_eq!(decode(&bytes, None), Err(CodecError::Damaged));
}

#[test]
fn the_transfer_is_exact_whatever_the_rest_leaves() {
    let mut outputs = http();
    for ms in [0.0, 0.142, 0.143, 0.144, 17.0, 86_400_000.0] {
        outputs.set_number(OutputId::TRANSFER_TIME, ms);
        round_trip(ProbeType::Http, &outputs, Some(23.456));
        round_trip(ProbeType::Http, &outputs, None);
    }
}

#[test]
fn addresses_and_texts_keep_their_spelling() {
    let long = "ü".repeat(128);
    let texts =
        ["::1", "::ffff:192.0.2.1", "1.2.3.4", "01.2.3.4", "1.2.3", "2001:DB8::1", "fe80::1%eth0", "", "a", &long];
    for text in texts {
        let mut outputs = Outputs::default();
        outputs.set_text(OutputId::IP_ADDRESS, text);
        outputs.set_text(OutputId::REGEX_MATCH, text);
        outputs.set_text(OutputId::HTTP_VERSION, text);
        round_trip(ProbeType::Http, &outputs, None);
        if text.len() <= limits::DNS_ANSWER_BYTES {
            round_trip(ProbeType::Dns, &dns(&[text, text]), None);
        }
    }
    for version in ["1.0", "1.1", "2", "3", "0.9"] {
        let mut outputs = Outputs::default();
        outputs.set_text(OutputId::HTTP_VERSION, version);
        assert!(round_trip(ProbeType::Http, &outputs, None) <= if version == "0.9" { 8 } else { 4 });
    }
}

#[test]
fn what_a_type_cannot_have_is_left_out_and_what_is_too_long_is_cut() {
    let mut outputs = Outputs::default();
    outputs.set_number(OutputId::TLS_TIME, 1.0);
    outputs.set_number(OutputId::IP_ADDRESS, 1.0);
    outputs.set_text(OutputId::RESP_TIME, "soon");
    outputs.set_text(OutputId::BODY, "secret");
    outputs.set_text(OutputId::REASON, "timeout");
    outputs.set_text(OutputId::result(1).unwrap(), "192.0.2.1");
    assert_eq!(encode(ProbeType::Tcp, &outputs, None), [0_u8; 0]);

    let mut outputs = Outputs::default();
    for id in [OutputId::RESP_TIME, OutputId::TRANSFER_TIME, OutputId::STATUS, OutputId::REGEX_MATCH] {
        outputs.set_number(id, f64::INFINITY);
    }
    outputs.set_number(OutputId::DNS_TIME, f64::NAN);
    assert_eq!(encode(ProbeType::Http, &outputs, None), [0_u8; 0]);

    let mut outputs = Outputs::default();
    outputs.set_text(OutputId::REGEX_MATCH, "ab".to_owned() + &"ü".repeat(300));
    outputs.set_number(OutputId::RESP_TIME, -3.0);
    outputs.set_number(OutputId::BODY_LEN, 1e300);
    let decoded = decode(&encode(ProbeType::Http, &outputs, None), None).unwrap();
    assert_eq!(
        decoded.get(OutputId::REGEX_MATCH),
        Some(&OutputValue::Text(("ab".to_owned() + &"ü".repeat(127)).into()))
    );
    assert_eq!(decoded.number(OutputId::RESP_TIME), Some(0.0));
    assert_eq!(decoded.number(OutputId::BODY_LEN), Some(COUNT_MAX));

    let decoded = decode(&encode(ProbeType::Dns, &dns(&["ü".repeat(200).as_str()]), None), None).unwrap();
    assert_eq!(decoded.get(OutputId::result(1).unwrap()), Some(&OutputValue::Text("ü".repeat(127).into())));
}

#[test]
fn results_may_be_fewer_than_counted() {
    let mut outputs = dns(&["a.example", "b.example"]);
    outputs.set_number(OutputId::RESULT_COUNT, 4_711.0);
    round_trip(ProbeType::Dns, &outputs, Some(3.25));
    let mut outputs = Outputs::default();
    outputs.set_text(OutputId::result(1).unwrap(), "alone");
    round_trip(ProbeType::Dns, &outputs, None);
    let full: Vec<String> = (0..20).map(|n| format!("{n}.example")).collect();
    let full: Vec<&str> = full.iter().map(String::as_str).collect();
    round_trip(ProbeType::Dns, &dns(&full), None);
}

#[test]
fn every_stored_output_of_a_type_has_its_place() {
    for probe in ProbeType::ALL {
        let stored: BTreeSet<OutputId> =
            OutputId::of(probe).iter().copied().filter(|id| ![OutputId::BODY, OutputId::REASON].contains(id)).collect();
        let table = Table::of(probe);
        assert_eq!(table.fields.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>(), stored);
        assert!(table.flag_count() <= 32 && table.flag_count() >= 2);
        assert!(table.usual.iter().all(|(id, _)| stored.contains(id)));
    }
}

#[test]
fn other_versions_are_named_and_damage_is_found() {
    let bytes = encode(ProbeType::Http, &http(), Some(23.456));
    for version in (0..16_u8).filter(|v| *v != VERSION) {
        let mut other = bytes.clone();
        other[0] = other[0] & 0xF0 | version;
        assert_eq!(decode(&other, Some(23.456)), Err(CodecError::Version(version)));
        assert_eq!(probe_type(&other), Err(CodecError::Version(version)));
    }
    for len in 1..bytes.len() {
        assert_eq!(decode(&bytes[..len], Some(23.456)), Err(CodecError::Damaged), "cut to {len}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(decode(&longer, Some(23.456)), Err(CodecError::Damaged));
    // More results than a run can have; a usual form of an absent output; a flag that no output has.
    assert_eq!(decode(&[VERSION | 3 << 4, 0, 21], None), Err(CodecError::Damaged));
    assert_eq!(decode(&[VERSION | 3 << 4, 1, 0], Some(1.0)), Err(CodecError::Damaged));
    assert_eq!(decode(&[VERSION | 3 << 4, 4, 0], Some(1.0)), Err(CodecError::Damaged));
    // A text that claims to be 2^62 bytes long allocates nothing.
    let mut claims = vec![VERSION | 3 << 4, 0, 1];
    claims.extend([0xFF; 8]);
    claims.push(0x3F);
    assert_eq!(decode(&claims, None), Err(CodecError::Damaged));
}

#[test]
fn what_the_encoder_never_writes_is_damage() {
    // A result longer than any text may be.
    let mut long = vec![VERSION | 3 << 4, 0, 1, 0xAE, 0x02];
    long.extend([b'a'; 300]);
    // A response time of more than 64 bits, one of 64 bits, and a transfer before the beginning.
    let mut wide = vec![VERSION | 1 << 4 | 1 << 6, 0];
    wide.extend([0x80; 9]);
    let full = [wide.clone(), vec![0x01]].concat();
    wide.push(0x02);
    let early = vec![VERSION, 0x20, 0, 0x01];
    // An infinite regexMatch, one of an unknown kind, and an unknown HTTP version.
    let infinite = [vec![VERSION, 0x80, 0, 1], f64::INFINITY.to_le_bytes().to_vec()].concat();
    let kind = vec![VERSION, 0x80, 0, 3, 0];
    let http = vec![VERSION, 0, 0x02, 4];
    // A text that is no UTF-8.
    let bytes = vec![VERSION | 3 << 4, 0, 1, 3, 0xFF];
    for damaged in [long, wide, full, early, infinite, kind, http, bytes] {
        assert_eq!(decode(&damaged, None), Err(CodecError::Damaged), "{damaged:02x?}");
    }
}

#[test]
fn a_number_found_by_the_regex_is_kept_exactly() {
    for number in [0.0, -0.0, 1.0, -17.0, 0.1, 1e-300, 1e300, 2_f64.powi(53), 2_f64.powi(53) + 2.0, f64::MIN] {
        let mut outputs = Outputs::default();
        outputs.set_number(OutputId::REGEX_MATCH, number);
        let decoded = decode(&encode(ProbeType::Http, &outputs, None), None).unwrap();
        let kept = decoded.number(OutputId::REGEX_MATCH).unwrap();
        assert_eq!(kept.to_bits(), number.to_bits(), "{number}");
    }
}

fn probes() -> impl Strategy<Value = ProbeType> {
    prop::sample::select(ProbeType::ALL.as_slice())
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<std::net::IpAddr>().prop_map(|address| address.to_string()),
        "[0-9.:a-f]{0,20}",
        ".{0,300}",
        prop::sample::select(&["1.0", "1.1", "2"][..]).prop_map(str::to_owned),
    ]
}

fn values() -> impl Strategy<Value = OutputValue> {
    prop_oneof![
        4 => (0.0..60_000.0_f64).prop_map(OutputValue::Number),
        2 => (0..100_000_i32).prop_map(|n| OutputValue::Number(f64::from(n))),
        1 => any::<f64>().prop_map(OutputValue::Number),
        1 => Just(OutputValue::Number(200.0)),
        1 => Just(OutputValue::Number(0.0)),
        3 => texts().prop_map(|text| OutputValue::Text(text.into())),
    ]
}

/// Any outputs, also such as no run has.
fn outputs() -> impl Strategy<Value = Outputs> {
    let ids = (0..=255_u8).filter_map(OutputId::from_code).collect::<Vec<_>>();
    prop::collection::vec((prop::sample::select(ids), values()), 0..40).prop_map(|all| {
        let mut outputs = Outputs::default();
        for (id, value) in all {
            outputs.set(id, value);
        }
        outputs
    })
}

/// What is kept of any outputs, by the module's description and not by its code.
fn kept(probe: ProbeType, outputs: &Outputs) -> Outputs {
    use crate::outcome::OutputKind::{Count, Either, Millis, Number, Text};
    let shorten = |text: &str, bytes: usize| {
        let fits = text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= bytes);
        fits.map(|(_, c)| c).collect::<String>()
    };
    let mut kept = Outputs::default();
    let mut next_result = 1;
    for (id, value) in outputs.iter() {
        if !id.belongs_to(probe) || id == OutputId::BODY || id == OutputId::REASON {
            continue;
        }
        let result = OutputId::result(next_result).is_some_and(|next| next == id);
        if id.code() > 64 && !result {
            continue;
        }
        match (id.kind(), value) {
            (_, OutputValue::Number(n)) if !n.is_finite() => {}
            (Millis | Number, OutputValue::Number(n)) => {
                kept.set_number(id, (n * 1_000.0).round().clamp(0.0, 2_f64.powi(50)) / 1_000.0);
            }
            (Count, OutputValue::Number(n)) => {
                // Adding 0 makes a negative zero positive.
                kept.set_number(id, n.round().clamp(-(2_f64.powi(53)), 2_f64.powi(53)) + 0.0);
            }
            (Either, OutputValue::Number(n)) => kept.set_number(id, *n),
            (Text, OutputValue::Text(text)) if result => {
                kept.set_text(id, shorten(text, 255));
                next_result += 1;
            }
            (Text | Either, OutputValue::Text(text)) => kept.set_text(id, shorten(text, 256)),
            (Text, OutputValue::Number(_)) | (Millis | Number | Count, OutputValue::Text(_)) => {}
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn everything_that_is_kept_round_trips(
        probe in probes(),
        outputs in outputs(),
        given in prop::option::of(prop_oneof![0.0_f32..60_000.0, any::<f32>()]),
        same in any::<bool>(),
    ) {
        let value_id = if probe == ProbeType::Ping { OutputId::AVG_RTT } else { OutputId::RESP_TIME };
        let value = if same { outputs.number(value_id).map(|ms| ms as f32) } else { given };
        let bytes = encode(probe, &outputs, value);
        let decoded = decode(&bytes, value);
        let expected = kept(probe, &outputs);
        prop_assert_eq!(decoded.as_ref(), Ok(&expected));
        prop_assert_eq!(encode(probe, &expected, value), bytes);
    }

    /// Phases are the same before storing and after reading back: what `nanomon verify` relies on.
    #[test]
    fn phases_survive(outputs in outputs()) {
        use crate::status::Phases;
        let bytes = encode(ProbeType::Http, &outputs, Some(1.0));
        let decoded = decode(&bytes, Some(1.0)).unwrap();
        prop_assert_eq!(Phases::from_outputs(&decoded), Phases::from_outputs(&outputs));
    }

    #[test]
    fn any_bytes_are_taken(mut bytes in prop::collection::vec(any::<u8>(), 0..600), version in any::<bool>(), value in any::<Option<f32>>()) {
        if version && let Some(head) = bytes.first_mut() {
            *head = *head & 0xF0 | VERSION;
        }
        if let Ok(outputs) = decode(&bytes, value) {
            let texts: usize = outputs.iter().map(|(_, v)| match v {
                OutputValue::Text(text) => text.len(),
                OutputValue::Number(_) => 0,
            }).sum();
            // An address in binary is up to ten times as long as text, nothing else grows.
            prop_assert!(texts <= 10 * bytes.len() && outputs.len() <= 33);
        }
    }

    /// Real outputs with a few bytes changed come deeper than any bytes do.
    #[test]
    fn changed_bytes_are_taken(
        probe in probes(),
        outputs in outputs(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        value in any::<Option<f32>>(),
    ) {
        let mut bytes = encode(probe, &outputs, value);
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        if let Ok(decoded) = decode(&bytes, value) {
            let probe = probe_type(&bytes).unwrap().unwrap_or(probe);
            // Whatever could be read can be written, and means the same again.
            prop_assert_eq!(decode(&encode(probe, &decoded, value), value), Ok(decoded));
        }
    }
}
