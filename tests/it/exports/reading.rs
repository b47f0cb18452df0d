//! Files are read back by what people read them with.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Practice, day, held};
use crate::support::{Answer, TestApp, tools};
use crate::usage::{count_anew, name};

/// Reads the file with pandas as text: its columns, and its lines.
const WITH_PANDAS: &str = "
import json, sys
import pandas
it = pandas.read_csv(sys.argv[1], sep=sys.argv[2], dtype=str, keep_default_na=False, encoding=sys.argv[3])
print(json.dumps([list(it.columns)] + it.values.tolist()))
";
/// Reads what `LibreOffice` made of it: values, and whether any of them is a formula.
const WITH_LIBREOFFICE: &str = "
import json, sys, zipfile
import xml.etree.ElementTree as tree
T = '{urn:oasis:names:tc:opendocument:xmlns:table:1.0}'
X = '{urn:oasis:names:tc:opendocument:xmlns:text:1.0}'
sheet = tree.fromstring(zipfile.ZipFile(sys.argv[1]).read('content.xml'))
rows = []
for row in sheet.iter(T + 'table-row'):
    cells = []
    for cell in row.iter(T + 'table-cell'):
        assert cell.get(T + 'formula') is None, cell.get(T + 'formula')
        text = '\\n'.join(''.join(p.itertext()) for p in cell.iter(X + 'p'))
        cells += [text] * int(cell.get(T + 'number-columns-repeated', 1))
    while cells and cells[-1] == '':
        cells.pop()
    if cells:
        rows.append(cells)
print(json.dumps(rows))
";

fn run(program: &mut Command) -> Vec<u8> {
    let done = program.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

#[tokio::test]
async fn pandas_and_libreoffice_read_what_was_written() {
    let app = TestApp::start().await;
    let practice = Practice::new(&app).await;
    let last = practice.last();
    let month = name(last);
    let odd = "=1+1; \"Émile, Zoé\"\u{a0}’";
    sqlx::query("UPDATE app.practitioners SET display_name = $1").bind(odd).execute(app.db()).await.unwrap();
    practice.put(held(day(last, 3), 50)).await;
    count_anew(&app).await;
    let staff = app.platform_admin().await;
    let folder = tempfile::tempdir().unwrap();
    let python = tools::spreadsheets();
    for (delimiter, sign, bom) in
        [("comma", ",", false), ("comma", ",", true), ("semicolon", ";", false), ("semicolon", ";", true)]
    {
        let body =
            json!({"kind": "payroll", "from": month, "to": month, "format": {"delimiter": delimiter, "bom": bom}});
        let request = staff.request(Method::POST, "/exports").header("accept-language", "fr").json(&body);
        let asked = Answer::of(request).await.expect(202);
        app.settle().await;
        let file = staff.get(&format!("/exports/{}/download", asked.str("/id"))).await.expect(200);
        let path = folder.path().join(format!("{delimiter}-{bom}.csv"));
        std::fs::write(&path, file.text()).unwrap();

        let encoding = if bom { "utf-8-sig" } else { "utf-8" };
        let read = run(Command::new(&python).args(["-c", WITH_PANDAS]).arg(&path).args([sign, encoding]));
        let read: Vec<Vec<String>> = serde_json::from_slice(&read).unwrap();
        assert_eq!(read.len(), 2, "{read:?}");
        assert_eq!((read[0][0].as_str(), read[0][11].as_str()), ("Mois", "Montant (centimes)"));
        assert_eq!(read[1][0], month);
        assert_eq!(read[1][2], format!("'{odd}"));
        assert_eq!(read[1][11], "7500");

        // as Excel's French users do: separated by the sign, quoted, UTF-8, all columns as text
        let filter = format!(
            "CSV:{},34,76,1,{}",
            u32::from(sign.as_bytes()[0]),
            (1..=15).map(|n| format!("{n}/2")).collect::<Vec<_>>().join("/")
        );
        run(Command::new("soffice")
            .args(["--headless", "--norestore", "--convert-to", "ods"])
            .arg(format!("--infilter={filter}"))
            .arg(format!("-env:UserInstallation=file://{}/profile", folder.path().display()))
            .arg("--outdir")
            .arg(folder.path())
            .arg(&path));
        let seen = run(Command::new(&python).args(["-c", WITH_LIBREOFFICE]).arg(path.with_extension("ods")));
        let seen: Value = serde_json::from_slice(&seen).unwrap();
        assert_eq!(seen, json!(read));
    }
}
