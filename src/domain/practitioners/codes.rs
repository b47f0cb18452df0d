//! Codes of other people's lists, and their check digits.

/// ISO 639-1.
const LANGUAGES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy \
    da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii \
    ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr \
    ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl \
    sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh \
    zu";

/// ISO 4217, the money of countries.
const CURRENCIES: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD \
    CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD \
    HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD \
    MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG \
    QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD \
    TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG";

pub fn is_language(code: &str) -> bool {
    LANGUAGES.split_whitespace().any(|known| known == code)
}

pub fn is_currency(code: &str) -> bool {
    CURRENCIES.split_whitespace().any(|known| known == code)
}

/// A number of the French register of health professionals: 11 digits, the last one by Luhn's formula
/// (ISO/IEC 7812-1, annex B).
pub fn is_rpps(number: &str) -> bool {
    let digits: Option<Vec<u32>> = number.chars().map(|c| c.to_digit(10)).collect();
    digits.is_some_and(|digits| digits.len() == 11 && digits.iter().any(|digit| *digit > 0) && luhn(&digits) == 0)
}

fn luhn(digits: &[u32]) -> u32 {
    let weighted = digits.iter().rev().enumerate().map(|(place, digit)| match place % 2 {
        0 => *digit,
        _ => digit * 2 / 10 + digit * 2 % 10,
    });
    weighted.sum::<u32>() % 10
}

/// A number of the older French register: nine digits that begin with the department; Corsica's have a letter.
pub fn is_adeli(number: &str) -> bool {
    let rest = number.strip_prefix("2A").or(number.strip_prefix("2B"));
    let (digits, length) = rest.map_or((number, 9), |rest| (rest, 7));
    digits.len() == length && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rpps_number_has_eleven_digits_of_which_the_last_one_fits() {
        assert!(is_rpps("10003456786"));
        for wrong in ["10003456781", "1000345678", "100034567800", "00000000000", "1000345678a", "", "１0003456780"] {
            assert!(!is_rpps(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_adeli_number_has_nine_digits_or_a_corsican_department() {
        assert!(is_adeli("759300001") && is_adeli("2A9300001"));
        for wrong in ["75930000", "7593000011", "2C9300001", "75930000A", "2A930000", ""] {
            assert!(!is_adeli(wrong), "{wrong}");
        }
    }

    #[test]
    fn languages_and_currencies_are_those_of_the_standards() {
        assert!(is_language("fr") && is_language("uk") && !is_language("xx") && !is_language("FR"));
        assert!(is_currency("EUR") && is_currency("CHF") && !is_currency("ZZZ") && !is_currency("eur"));
        assert!(!is_language("") && !is_currency("EUR CHF"));
    }
}
