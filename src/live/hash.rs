//! A hash that is the same in every process and run, for who belongs where.

/// Hashes texts in their order: FNV-1a over each with a separator, then the finalizer of `SplitMix64`, since the
/// high bits of FNV are weak for short texts.
pub fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let separated = texts.into_iter().flat_map(|text| text.bytes().chain([0xff]));
    mix(separated.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

/// Spreads every bit of `hash` over all of them.
pub fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// A hash as a number in `[0, 1)`.
pub fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_same_in_every_process() {
        assert_eq!(hash(["acme", "s-1"]), 13_369_009_456_400_407_169);
        assert_ne!(hash(["ab", "c"]), hash(["a", "bc"]));
    }

    #[test]
    fn hashes_of_near_names_spread_evenly() {
        let units: Vec<f64> =
            (0..10_000).map(|number| unit(hash([format!("user-{number}").as_str()]))).collect();
        for tenth in 0..10 {
            let span = f64::from(tenth) / 10.0..f64::from(tenth + 1) / 10.0;
            let count = units.iter().filter(|unit| span.contains(unit)).count();
            assert!((900..1100).contains(&count), "{count} in {span:?}");
        }
    }
}
