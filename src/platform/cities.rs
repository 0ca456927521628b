//! The cities of the time zone database, with their coordinates.

use std::fs;

use serde::Serialize;

/// The tables of the time zone database, the one that is more exact first. Debian has them in `tzdata`.
const TABLES: [&str; 2] = [
    "/usr/share/zoneinfo/zone1970.tab",
    "/usr/share/zoneinfo/zone.tab",
];

/// The principal city of a time zone.
#[derive(Debug, PartialEq, Serialize)]
pub struct City {
    /// The name of the zone, such as `America/Sao_Paulo`.
    pub zone: String,
    /// Degrees north, rounded to 0.01.
    pub latitude: f64,
    /// Degrees east, rounded to 0.01.
    pub longitude: f64,
}

/// All cities by the names of their zones; none where there is no time zone database.
pub fn list() -> Vec<City> {
    let table = TABLES
        .iter()
        .find_map(|table| fs::read_to_string(table).ok());
    parse(&table.unwrap_or_default())
}

/// The cities in a table: country codes, coordinates and the zone, separated by tabs.
fn parse(table: &str) -> Vec<City> {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let mut cities: Vec<_> = rows.filter_map(city).collect();
    cities.sort_by(|one, other| one.zone.cmp(&other.zone));
    cities
}

fn city(row: &str) -> Option<City> {
    let mut columns = row.split('\t').skip(1);
    let (coordinates, zone) = (columns.next()?, columns.next()?);
    let (_, rest) = coordinates.split_at_checked(1)?;
    let east = 1 + rest.find(['+', '-'])?;
    let (latitude, longitude) = coordinates.split_at(east);
    Some(City {
        zone: zone.into(),
        latitude: degrees(latitude, 2)?,
        longitude: degrees(longitude, 3)?,
    })
}

/// The degrees of a coordinate as in ISO 6709: a sign, the degrees in so many digits, minutes and maybe seconds.
fn degrees(text: &str, digits: usize) -> Option<f64> {
    let (sign, number) = text.split_at_checked(1)?;
    let (degrees, rest) = number.split_at_checked(digits)?;
    let (minutes, seconds) = rest.split_at_checked(2)?;
    let seconds = if seconds.is_empty() { "0" } else { seconds };
    let [degrees, minutes, seconds] = [degrees, minutes, seconds].map(|part| part.parse::<f64>());
    let whole = degrees.ok()? + minutes.ok()? / 60.0 + seconds.ok()? / 3600.0;
    let rounded = (whole * 100.0).round() / 100.0;
    Some(if sign == "-" { -rounded } else { rounded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_the_time_zone_database_is_read() {
        let table = "# comment\nBR\t-2332-04637\tAmerica/Sao_Paulo\tBrazil\n\
                     AQ\t-720041+0023206\tAntarctica/Troll\n\
                     broken\nXX\t+12\tNo/Where\nDE,DK\t+5230+01322\tEurope/Berlin\tmost\n";
        let cities = parse(table);
        let found: Vec<_> = cities
            .iter()
            .map(|city| (city.zone.as_str(), city.latitude, city.longitude))
            .collect();
        assert_eq!(
            found,
            [
                ("America/Sao_Paulo", -23.53, -46.62),
                ("Antarctica/Troll", -72.01, 2.53),
                ("Europe/Berlin", 52.5, 13.37),
            ]
        );
    }
}
