//! The colour of a light, as the page shows it: [`Warmth`].

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The colour that an LED shines in, at its brightest: red, green and blue of sRGB, of which the highest is 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warmth([u8; 3]);

impl Warmth {
    /// The lowest colour temperature in kelvin, that of a glowing ember.
    pub const MIN_KELVIN: i64 = 1_700;
    /// The highest colour temperature in kelvin, that of the blue sky.
    pub const MAX_KELVIN: i64 = 25_000;

    /// The colour of a black body of this temperature in kelvin, [`MIN_KELVIN`](Self::MIN_KELVIN) to
    /// [`MAX_KELVIN`](Self::MAX_KELVIN): the Planckian locus by the cubic splines of Kim et al., US patent 7024034,
    /// in sRGB as in IEC 61966-2-1.
    pub fn from_kelvin(kelvin: i64) -> Option<Warmth> {
        if !(Self::MIN_KELVIN..=Self::MAX_KELVIN).contains(&kelvin) {
            return None;
        }
        let kelvin = kelvin as f64;
        let cubic = |[a, b, c, d]: [f64; 4], x: f64| ((a * x + b) * x + c) * x + d;
        let x = match kelvin {
            ..=4_000.0 => cubic(
                [-0.266_123_9, -0.234_358_9, 0.877_695_6, 0.179_91],
                1e3 / kelvin,
            ),
            _ => cubic(
                [-3.025_846_9, 2.107_037_9, 0.222_634_7, 0.240_39],
                1e3 / kelvin,
            ),
        };
        let y = match kelvin {
            ..=2_222.0 => cubic([-1.106_381_4, -1.348_110_2, 2.185_558_32, -0.202_196_83], x),
            ..=4_000.0 => cubic(
                [-0.954_947_6, -1.374_185_93, 2.091_370_15, -0.167_488_67],
                x,
            ),
            _ => cubic([3.081_758, -5.873_386_7, 3.751_129_97, -0.370_014_83], x),
        };
        let (x, z) = (x / y, (1.0 - x - y) / y);
        let linear = [
            3.240_6 * x - 1.537_2 - 0.498_6 * z,
            -0.968_9 * x + 1.875_8 + 0.041_5 * z,
            0.055_7 * x - 0.204 + 1.057 * z,
        ];
        let most = linear.into_iter().fold(0.0, f64::max);
        Some(Warmth(linear.map(|part| encode(part / most))))
    }
}

/// The byte of a linear part of a colour, 0 to 1.
fn encode(linear: f64) -> u8 {
    let part = match linear.max(0.0) {
        dark @ ..=0.003_130_8 => 12.92 * dark,
        bright => 1.055 * bright.powf(1.0 / 2.4) - 0.055,
    };
    (part * 255.0).round() as u8
}

impl FromStr for Warmth {
    type Err = ();

    /// Reads a colour as CSS has it, `#rrggbb` or `#rgb`. How dark it is does not matter, as that is the level's;
    /// black is none.
    fn from_str(text: &str) -> Result<Warmth, ()> {
        let digits = text.strip_prefix('#').ok_or(())?;
        let digits = digits.chars().map(|digit| digit.to_digit(16));
        let digits: Vec<u32> = digits.collect::<Option<_>>().ok_or(())?;
        let parts: Vec<u32> = match digits.len() {
            3 => digits.iter().map(|digit| digit * 17).collect(),
            6 => digits
                .chunks(2)
                .map(|pair| pair[0] * 16 + pair[1])
                .collect(),
            _ => return Err(()),
        };
        match parts.iter().max() {
            None | Some(0) => Err(()),
            Some(most) => Ok(Warmth([0, 1, 2].map(|at| (parts[at] * 255 / most) as u8))),
        }
    }
}

impl fmt::Display for Warmth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Serialize for Warmth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_black_body_goes_from_red_over_white_to_blue() {
        // By Mitchell Charity's table of black bodies in sRGB, 2° observer, within 10 of 255.
        for (kelvin, expected) in [
            (2_000, [255, 137, 14]),
            (2_700, [255, 169, 87]),
            (4_000, [255, 209, 163]),
            (6_500, [255, 249, 253]),
            (10_000, [204, 219, 255]),
            (25_000, [165, 191, 255]),
        ] {
            let Warmth(seen) = Warmth::from_kelvin(kelvin).unwrap();
            for (seen, expected) in seen.into_iter().zip(expected) {
                assert!(
                    seen.abs_diff(expected) <= 10,
                    "{kelvin}: {seen}, {expected}"
                );
            }
        }
        assert_eq!(Warmth::from_kelvin(1_699), None);
        assert_eq!(Warmth::from_kelvin(25_001), None);
    }

    #[test]
    fn a_colour_is_as_bright_as_can_be() {
        for (text, expected) in [
            ("#ffa757", "#ffa757"),
            ("#FA5", "#ffaa55"),
            ("#800000", "#ff0000"),
            ("#010101", "#ffffff"),
        ] {
            assert_eq!(text.parse::<Warmth>().unwrap().to_string(), expected);
        }
        for text in [
            "",
            "#",
            "#000",
            "#000000",
            "#ffff",
            "#+ff",
            "#ffffffff",
            "ffa757",
            "red",
            "#ééé",
        ] {
            assert_eq!(text.parse::<Warmth>(), Err(()), "{text}");
        }
    }
}
