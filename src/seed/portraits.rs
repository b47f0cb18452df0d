//! Pictures of the demonstration's practitioners, drawn here: a head and shoulders before a plain ground.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use image::{ImageFormat, Rgb, RgbImage};
use sqlx::PgConnection;

use super::SeedError;
use crate::platform::config::Config;
use crate::platform::crypto::entropy::Entropy;
use crate::platform::ids::{self, FileId, UserId};
use crate::platform::problem::Problem;
use crate::platform::storage::Storage;

const SIDE: u32 = 512;
/// Grounds, clothes and hair, each from a list of its own.
const GROUNDS: [[u8; 3]; 5] = [[203, 221, 209], [226, 214, 196], [199, 213, 232], [231, 205, 205], [216, 209, 230]];
const CLOTHES: [[u8; 3]; 4] = [[47, 84, 104], [120, 64, 72], [72, 96, 60], [88, 74, 120]];
const HAIR: [[u8; 3]; 4] = [[52, 38, 32], [120, 84, 52], [150, 150, 152], [30, 30, 34]];
const SKIN: [[u8; 3]; 3] = [[240, 204, 178], [196, 146, 108], [128, 86, 62]];

pub(super) async fn hang(tx: &mut PgConnection, config: &Config, now: DateTime<Utc>) -> Result<(), SeedError> {
    let storage = Storage::open(config).map_err(SeedError::Pictures)?;
    let entropy = Entropy::seeded(3);
    let people: Vec<UserId> = sqlx::query_scalar(
        "SELECT p.id FROM app.practitioners p JOIN app.users u USING (id)
         WHERE u.email LIKE '%@huntzen.test' AND p.status = 'active' ORDER BY u.email",
    )
    .fetch_all(&mut *tx)
    .await?;
    for (n, person) in people.into_iter().enumerate() {
        let bytes = draw(n).map_err(SeedError::Pictures)?;
        let random = hex::encode(entropy.bytes::<17>());
        let (shard, key) = random.split_at(2);
        let object_key = format!("files/{shard}/{key}");
        let mut object = storage.create(&object_key);
        object.write(&bytes).await.map_err(SeedError::Pictures)?;
        object.finish().await.map_err(SeedError::Pictures)?;
        let file = FileId(ids::uuid_v7(now, entropy.bytes()));
        sqlx::query(
            "INSERT INTO app.files (id, owner_id, purpose, state, object_key, media_type, size_bytes, digest, created_at,
                                    ready_at)
             VALUES ($1, $2, 'avatar', 'ready', $3, 'image/png', $4, $5, $6, $6)",
        )
        .bind(file)
        .bind(person)
        .bind(&object_key)
        .bind(i64::try_from(bytes.len()).unwrap_or_default())
        .bind(digest(&SHA256, &bytes).as_ref())
        .bind(now)
        .execute(&mut *tx)
        .await?;
        for statement in [
            "UPDATE app.users SET avatar_id = $2 WHERE id = $1",
            "UPDATE app.practitioners SET avatar_id = $2 WHERE id = $1",
        ] {
            sqlx::query(statement).bind(person).bind(file).execute(&mut *tx).await?;
        }
    }
    Ok(())
}

fn draw(n: usize) -> Result<Bytes, Problem> {
    let pick = |list: &[[u8; 3]], step: usize| Rgb(list.get(n / step % list.len()).copied().unwrap_or_default());
    let (ground, clothes, hair, skin) = (pick(&GROUNDS, 1), pick(&CLOTHES, 1), pick(&HAIR, 2), pick(&SKIN, 3));
    let within = |x: u32, y: u32, (cx, cy): (i64, i64), (rx, ry): (i64, i64)| {
        let (dx, dy) = (i64::from(x) - cx, i64::from(y) - cy);
        dx * dx * ry * ry + dy * dy * rx * rx <= rx * rx * ry * ry
    };
    let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        if within(x, y, (256, 225), (88, 108)) && !within(x, y, (256, 100), (110, 62)) {
            skin
        } else if within(x, y, (256, 200), (108, 118)) && y < 250 {
            hair
        } else if within(x, y, (256, 330), (42, 70)) {
            skin
        } else if within(x, y, (256, 540), (190, 180)) {
            clothes
        } else {
            ground
        }
    });
    let mut out = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut out, ImageFormat::Png).map_err(Problem::internal)?;
    Ok(out.into_inner().into())
}
