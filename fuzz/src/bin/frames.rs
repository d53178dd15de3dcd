//! What a broker and a keeper tell each other, in pieces of any length: what is understood is the same however it was
//! cut, and the same again when it is said again.
#![no_main]

use compere::keeper::wire::{Decoder, Event, Request};
use compere_fuzz::Pieces;
use libfuzzer_sys::fuzz_target;

/// Frames by their bytes, and what ended the stream.
type Heard = (Vec<Vec<u8>>, Option<String>);

fuzz_target!(|data: &[u8]| {
    let [side, cut, rest @ ..] = data else { return };
    match side & 1 {
        0 => check(rest, *cut, requests),
        _ => check(rest, *cut, events),
    }
});

fn check(bytes: &[u8], cut: u8, hear: fn(Pieces<'_>) -> Heard) {
    let (said, error) = hear(Pieces::new(bytes, cut));
    assert_eq!((said.clone(), error), hear(Pieces::new(bytes, 0)));
    assert_eq!(hear(Pieces::new(&said.concat(), cut)), (said, None));
}

fn requests(pieces: Pieces<'_>) -> Heard {
    hear(pieces, |decoder| {
        let request = decoder.next::<Request<'_>>().map_err(|error| error.to_string())?;
        Ok(request.map(|request| again(&request, Request::encode)))
    })
}

fn events(pieces: Pieces<'_>) -> Heard {
    hear(pieces, |decoder| {
        let event = decoder.next::<Event<'_>>().map_err(|error| error.to_string())?;
        Ok(event.map(|event| again(&event, Event::encode)))
    })
}

fn hear(pieces: Pieces<'_>, next: impl Fn(&mut Decoder) -> Result<Option<Vec<u8>>, String>) -> Heard {
    let mut decoder = Decoder::default();
    let mut said = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            let more = decoder.has_frame();
            match next(&mut decoder) {
                Ok(Some(frame)) => said.push(frame),
                // What is not known is skipped, and was a frame all the same.
                Ok(None) => break,
                Err(error) => return (said, Some(error)),
            }
            assert!(more);
        }
        assert!(!decoder.has_frame());
    }
    (said, None)
}

/// The frame in our own bytes.
fn again<F>(frame: &F, encode: fn(&F, &mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(frame, &mut bytes);
    bytes
}
