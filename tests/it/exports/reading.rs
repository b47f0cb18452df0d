//! Files are read back by what people read them with.

use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Practice, Session, day, held};
use crate::support::{Answer, TestApp, User, tools};
use crate::usage::{Sessions, Usage, count_anew, name, sessions};

/// Reads the file with pandas as text: its columns, and its lines.
const WITH_PANDAS: &str = "
import json, sys
import pandas
it = pandas.read_csv(sys.argv[1], sep=sys.argv[2], dtype=str, keep_default_na=False, encoding=sys.argv[3])
print(json.dumps([list(it.columns)] + it.values.tolist()))
";
/// Reads what `LibreOffice` made of it: what its cells show, and which formulas are among them.
const WITH_LIBREOFFICE: &str = "
import json, sys, zipfile
import xml.etree.ElementTree as tree
T = '{urn:oasis:names:tc:opendocument:xmlns:table:1.0}'
X = '{urn:oasis:names:tc:opendocument:xmlns:text:1.0}'
sheet = tree.fromstring(zipfile.ZipFile(sys.argv[1]).read('content.xml'))
rows = []
formulas = []
for row in sheet.iter(T + 'table-row'):
    cells = []
    for cell in row.iter(T + 'table-cell'):
        if cell.get(T + 'formula') is not None:
            formulas.append(cell.get(T + 'formula'))
        text = '\\n'.join(''.join(p.itertext()) for p in cell.iter(X + 'p'))
        cells += [text] * int(cell.get(T + 'number-columns-repeated', 1))
    while cells and cells[-1] == '':
        cells.pop()
    if cells:
        rows.append(cells)
print(json.dumps([rows, formulas]))
";

fn run(program: &mut Command) -> Vec<u8> {
    let done = program.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// How a file is opened.
#[derive(Clone, Copy)]
struct Opened {
    sign: &'static str,
    bom: bool,
    /// 1: as the program sees fit, formulas run; 2: all columns are text.
    columns: u8,
}

/// What pandas reads, header included.
fn with_pandas(python: &Path, path: &Path, how: Opened) -> Vec<Vec<String>> {
    let encoding = if how.bom { "utf-8-sig" } else { "utf-8" };
    let read = run(Command::new(python).args(["-c", WITH_PANDAS]).arg(path).args([how.sign, encoding]));
    serde_json::from_slice(&read).unwrap()
}

/// What the cells show in `LibreOffice`, and which formulas are in them.
fn with_libreoffice(python: &Path, path: &Path, how: Opened) -> (Vec<Vec<String>>, Vec<String>) {
    let folder = path.parent().unwrap();
    // separated by the sign, quoted, UTF-8, from the first line on; in English, quoted fields are no text for that, numbers of
    // any form are read, nothing is skipped, and formulas are run (the thirteenth)
    let columns = (1..=16).map(|n| format!("{n}/{}", how.columns)).collect::<Vec<_>>().join("/");
    let filter = format!(
        "CSV:{},34,76,1,{columns},1033,false,true,false,false,false,-1,true",
        u32::from(how.sign.as_bytes()[0])
    );
    run(Command::new("soffice")
        .args(["--headless", "--norestore", "--convert-to", "ods"])
        .arg(format!("--infilter={filter}"))
        .arg(format!("-env:UserInstallation=file://{}/profile", folder.display()))
        .arg("--outdir")
        .arg(folder)
        .arg(path));
    let seen = run(Command::new(python).args(["-c", WITH_LIBREOFFICE]).arg(path.with_extension("ods")));
    serde_json::from_slice(&seen).unwrap()
}

/// Somebody's file, as they get it.
async fn fetch(app: &TestApp, user: &User, body: &Value) -> String {
    let request = user.request(Method::POST, "/exports").header("accept-language", "fr").json(body);
    let asked = Answer::of(request).await.expect(202);
    app.settle().await;
    user.get(&format!("/exports/{}/download", asked.str("/id"))).await.expect(200).text()
}

#[tokio::test]
async fn pandas_and_libreoffice_read_what_was_written_and_run_none_of_it() {
    let app = TestApp::start().await;
    let practice = Practice::new(&app).await;
    let last = practice.last();
    let month = name(last);
    let odd = "=1+1; \"Émile, Zoé\"\u{a0}’";
    sqlx::query("UPDATE app.practitioners SET display_name = $1").bind(odd).execute(app.db()).await.unwrap();
    // three departments whose names are formulas, each large enough to be told
    let usage = Usage::new(&app, "=cmd()", 100).await;
    let names = ["=1+1", "+2+3, \"x\"", "@SUM(1;2)"];
    for (nth, called) in names.into_iter().enumerate() {
        let department = usage.department(called).await;
        usage
            .hold(Sessions { department: Some(department), ..sessions(last, "sleep", nth * 25..nth * 25 + 15, 1) })
            .await;
        usage.staff(department, nth * 25..nth * 25 + 25).await;
    }
    usage.hold(sessions(last, "sleep", 75..90, 1)).await;
    practice.put(held(day(last, 3), 50)).await;
    practice.put(Session { differs: true, ..held(day(last, 4), 20) }).await;
    let cancelled =
        Session { at: day(last, 5), status: "cancelled", minutes: None, differs: false, by: Some("employee") };
    practice.put(cancelled).await;
    count_anew(&app).await;
    let staff = app.platform_admin().await;
    let folder = tempfile::tempdir().unwrap();
    let python = tools::spreadsheets();

    // what is not defused is run: the look would find it
    let path = folder.path().join("control.csv");
    std::fs::write(&path, "\"a\",\"b\"\r\n\"=1+1\",\"x\"\r\n").unwrap();
    let (seen, formulas) = with_libreoffice(&python, &path, Opened { sign: ",", bom: false, columns: 1 });
    assert_eq!((seen[1][0].as_str(), formulas.len()), ("2", 1), "{seen:?} {formulas:?}");

    let kinds = [
        ("usage", &usage.company.hr, json!({"kind": "usage", "by": "department"})),
        ("practitioner_activity", &practice.practitioner, json!({"kind": "practitioner_activity"})),
        ("payroll", &staff, json!({"kind": "payroll"})),
    ];
    for (kind, user, wanted) in kinds {
        for (delimiter, sign, bom) in
            [("comma", ",", false), ("comma", ",", true), ("semicolon", ";", false), ("semicolon", ";", true)]
        {
            let mut body = wanted.clone();
            body["from"] = json!(month);
            body["to"] = json!(month);
            body["format"] = json!({"delimiter": delimiter, "bom": bom});
            let path = folder.path().join(format!("{kind}-{delimiter}-{bom}.csv"));
            std::fs::write(&path, fetch(&app, user, &body).await).unwrap();

            let read = with_pandas(&python, &path, Opened { sign, bom, columns: 2 });
            let column =
                |called: &str| read[0].iter().position(|it| it == called).unwrap_or_else(|| panic!("{read:?}"));
            match kind {
                "usage" => {
                    let mut told: Vec<&str> = read[1..].iter().map(|line| line[1].as_str()).collect();
                    told.retain(|it| it.starts_with('\''));
                    told.sort_unstable();
                    assert_eq!(told, ["'+2+3, \"x\"", "'=1+1", "'@SUM(1;2)"], "{read:?}");
                }
                "practitioner_activity" => {
                    assert_eq!(read.len(), 4, "{read:?}");
                    let starts: Vec<&str> = read[1..].iter().map(|line| line[0].as_str()).collect();
                    let at = |n| day(last, n).format("%Y-%m-%dT%H:%M:%SZ").to_string();
                    assert_eq!(starts, [at(3), at(4), at(5)]);
                }
                _ => {
                    let its = read.iter().find(|line| line[column("Montant (centimes)")] == "10500").unwrap();
                    assert_eq!((its[0].as_str(), its[2].as_str()), (month.as_str(), &*format!("'{odd}")));
                }
            }
            // all columns as text, as it is written; and as it is opened by whoever clicks on it
            let (seen, formulas) = with_libreoffice(&python, &path, Opened { sign, bom, columns: 2 });
            let trimmed = |lines: &[Vec<String>]| -> Vec<Vec<String>> {
                lines
                    .iter()
                    .map(|line| line[..line.iter().rposition(|it| !it.is_empty()).map_or(0, |n| n + 1)].to_vec())
                    .collect()
            };
            assert_eq!((trimmed(&seen), formulas), (trimmed(&read), vec![]), "{kind}");
            let (seen, formulas) = with_libreoffice(&python, &path, Opened { sign, bom, columns: 1 });
            assert_eq!((seen.len(), formulas), (read.len(), vec![]), "{kind}");
        }
    }
}
