//! Undoing content encodings as the bytes arrive, never past a bound.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use zstd::stream::raw::{Decoder as Zstd, InBuffer, Operation, OutBuffer};

use super::Broken;
use crate::error::Kind;

/// Compressed bytes are fed in pieces this small, so that a bomb is noticed before it has grown far.
const PIECE: usize = 1 << 10;
/// Output is produced in steps of this size.
const BLOCK: usize = 32 << 10;

/// No text a model writes packs better than this; a bomb does, and is refused long before it reaches the bound.
const RATIO: usize = 100;
/// Below this much output the ratio is not looked at.
const RATIO_FLOOR: usize = 8 << 20;

/// One body's decoder.
pub(super) struct Inflate {
    coder: Coder,
    name: String,
    bound: usize,
    /// Bytes in and out so far.
    taken: usize,
    produced: usize,
}

enum Coder {
    Identity,
    Gzip(flate2::write::MultiGzDecoder<Vec<u8>>),
    Deflate { decoder: Decompress, out: Vec<u8>, ended: bool },
    Brotli(Box<brotli_decompressor::DecompressorWriter<Vec<u8>>>),
    Zstd { decoder: Zstd<'static>, out: Vec<u8>, inside_frame: bool },
}

impl std::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflate").field("encoding", &self.name).finish_non_exhaustive()
    }
}

impl Inflate {
    /// The decoder for a response with these headers; one piece of output is at most `bound` bytes.
    pub(super) fn new(headers: &HeaderMap, bound: usize) -> Result<Self, Broken> {
        let name = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let name = name.trim().to_ascii_lowercase();
        let coder = match name.as_str() {
            "" | "identity" => Coder::Identity,
            "gzip" | "x-gzip" => Coder::Gzip(flate2::write::MultiGzDecoder::new(Vec::new())),
            "deflate" => Coder::Deflate { decoder: Decompress::new(true), out: Vec::new(), ended: false },
            "br" => Coder::Brotli(Box::new(brotli_decompressor::DecompressorWriter::new(Vec::new(), 4096))),
            "zstd" => {
                let decoder = Zstd::new().map_err(|cause| Broken::new(Kind::Internal, cause.to_string()))?;
                Coder::Zstd { decoder, out: Vec::new(), inside_frame: false }
            }
            other => {
                return Err(Broken::new(Kind::Malformed, format!("unknown content-encoding: {other}")));
            }
        };
        Ok(Self { coder, name, bound, taken: 0, produced: 0 })
    }

    /// The decoded form of `chunk`, as far as it goes.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<Bytes, Broken> {
        if matches!(self.coder, Coder::Identity) {
            return Ok(chunk);
        }
        for piece in chunk.chunks(PIECE) {
            self.write(piece).map_err(|cause| self.corrupt(&cause))?;
            self.taken += piece.len();
            let waiting = self.out().map_or(0, |out| out.len());
            self.check(waiting)?;
        }
        let decoded = self.out().map(|out| Bytes::from(std::mem::take(out))).unwrap_or_default();
        self.produced += decoded.len();
        Ok(decoded)
    }

    /// Is the output so far, `waiting` bytes of it not handed on yet, still within bounds?
    fn check(&self, waiting: usize) -> Result<(), Broken> {
        let produced = self.produced + waiting;
        let message = if waiting > self.bound {
            format!("the decoded body is over its bound of {} bytes", self.bound)
        } else if produced > RATIO_FLOOR && produced / RATIO > self.taken {
            format!("the {} body unpacks to more than {RATIO} times its size", self.name)
        } else {
            return Ok(());
        };
        Err(Broken::new(Kind::TooLarge, message))
    }

    /// The last of the output; fails where the encoded form is not complete.
    pub(super) fn finish(&mut self) -> Result<Bytes, Broken> {
        let ended = match &mut self.coder {
            Coder::Identity => Ok(()),
            Coder::Gzip(gzip) => gzip.try_finish(),
            Coder::Brotli(brotli) => brotli.close(),
            Coder::Deflate { ended: false, .. } | Coder::Zstd { inside_frame: true, .. } => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Coder::Deflate { .. } | Coder::Zstd { .. } => Ok(()),
        };
        ended.map_err(|cause| {
            Broken::new(Kind::Truncated, format!("the {} body ended early: {cause}", self.name))
        })?;
        Ok(self.out().map(|out| Bytes::from(std::mem::take(out))).unwrap_or_default())
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match &mut self.coder {
            Coder::Identity => Ok(()),
            Coder::Gzip(gzip) => gzip.write_all(piece),
            Coder::Deflate { decoder, out, ended } => run_deflate(decoder, piece, out, ended),
            Coder::Brotli(brotli) => brotli.write_all(piece).and_then(|()| brotli.flush()),
            Coder::Zstd { decoder, out, inside_frame } => run_zstd(decoder, piece, out, inside_frame),
        }
    }

    fn out(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.coder {
            Coder::Identity => None,
            Coder::Gzip(gzip) => Some(gzip.get_mut()),
            Coder::Brotli(brotli) => Some(brotli.get_mut()),
            Coder::Deflate { out, .. } | Coder::Zstd { out, .. } => Some(out),
        }
    }

    fn corrupt(&self, cause: &io::Error) -> Broken {
        Broken::new(Kind::Malformed, format!("the body is not {}: {cause}", self.name))
    }
}

fn run_deflate(
    decoder: &mut Decompress,
    piece: &[u8],
    out: &mut Vec<u8>,
    ended: &mut bool,
) -> io::Result<()> {
    let mut rest = piece;
    while !*ended {
        out.reserve(BLOCK);
        let before = decoder.total_in();
        let status = decoder.decompress_vec(rest, out, FlushDecompress::None)?;
        let taken = usize::try_from(decoder.total_in() - before).unwrap_or(rest.len());
        rest = rest.get(taken..).unwrap_or_default();
        *ended = status == Status::StreamEnd;
        if rest.is_empty() && out.len() < out.capacity() {
            return Ok(());
        }
    }
    Ok(())
}

fn run_zstd(
    decoder: &mut Zstd<'static>,
    piece: &[u8],
    out: &mut Vec<u8>,
    inside_frame: &mut bool,
) -> io::Result<()> {
    let mut input = InBuffer::around(piece);
    let mut block = vec![0_u8; BLOCK];
    loop {
        let mut output = OutBuffer::around(block.as_mut_slice());
        let hint = decoder.run(&mut input, &mut output)?;
        *inside_frame = hint != 0;
        let produced = output.as_slice();
        out.extend_from_slice(produced);
        if input.pos() == piece.len() && produced.len() < BLOCK {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn headers(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, http::HeaderValue::from_static(encoding))])
    }

    fn encoded(encoding: &str, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match encoding {
            "gzip" => {
                flate2::read::GzEncoder::new(plain, flate2::Compression::fast())
                    .read_to_end(&mut out)
                    .unwrap();
            }
            "deflate" => {
                flate2::read::ZlibEncoder::new(plain, flate2::Compression::fast())
                    .read_to_end(&mut out)
                    .unwrap();
            }
            "zstd" => out = zstd::stream::encode_all(plain, 1).unwrap(),
            _ => out.extend_from_slice(plain),
        }
        out
    }

    fn decode(encoding: &'static str, wire: &[u8], step: usize) -> Result<Vec<u8>, Broken> {
        let mut inflate = Inflate::new(&headers(encoding), 1 << 20)?;
        let mut out = Vec::new();
        for chunk in wire.chunks(step) {
            out.extend_from_slice(&inflate.push(Bytes::copy_from_slice(chunk))?);
        }
        out.extend_from_slice(&inflate.finish()?);
        Ok(out)
    }

    #[test]
    fn every_split_of_an_encoded_body_decodes_to_the_same_bytes() {
        let plain: Vec<u8> = (0..20_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        for encoding in ["identity", "gzip", "deflate", "zstd"] {
            let wire = encoded(encoding, &plain);
            for step in [1, 7, 4096, usize::MAX] {
                assert_eq!(decode(encoding, &wire, step).unwrap(), plain, "{encoding} by {step}");
            }
        }
    }

    #[test]
    fn f62_a_bomb_is_refused_at_the_bound_not_after_it() {
        let plain = vec![0_u8; 64 << 20];
        for encoding in ["gzip", "deflate", "zstd"] {
            let broken = decode(encoding, &encoded(encoding, &plain), 64 << 10).unwrap_err();
            assert_eq!(broken.kind, Kind::TooLarge, "{encoding}");
        }
    }

    #[test]
    fn f63_f64_a_cut_body_is_truncated_and_a_lying_one_malformed() {
        let plain: Vec<u8> = (0..5_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        for encoding in ["gzip", "deflate", "zstd"] {
            let wire = encoded(encoding, &plain);
            let cut = decode(encoding, &wire[..wire.len() / 2], 100).map(|_| encoding).unwrap_err();
            assert_eq!(cut.kind, Kind::Truncated, "{encoding}");
            let lying =
                decode(encoding, b"{\"id\": \"this is plain JSON\"}", 100).map(|_| encoding).unwrap_err();
            assert_eq!(lying.kind, Kind::Malformed, "{encoding}");
        }
        assert_eq!(decode("br", b"{\"id\": \"plain\"}", 100).unwrap_err().kind, Kind::Malformed);
        assert_eq!(decode("rot13", b"", 1).unwrap_err().kind, Kind::Malformed);
    }
}
