//! A company's directory, kept by HR: who works there, at which address, in which department.
//!
//! HR adds people one by one or imports a file; who is new gets an invitation. HR learns nothing of accounts: no
//! answer, mail or limit tells whether somebody accepted.
//! A person who leaves keeps their account and cannot book on the contract any more: [`events::EmployeeLeft`] tells
//! the higher floors. Platform admins may read a directory for support, and every reading is audited.
//!
//! Choices:
//! - One change of a directory runs at a time (an advisory lock of the company): seats are counted without a race,
//!   and two imports of one file make nobody twice. Who waits for more than 8 seconds gets `409 directory_busy`.
//! - The seats of the contract count active entries, not accounts; the database refuses one more. It also refuses a
//!   contract with fewer than are taken (`409 seats_in_use`, with how many): HR notes first who left.
//! - Departments are made when first named, and are the same whatever their case. They are named, not numbered, in
//!   requests. A department that is renamed in the company's files is a new one: its people move there, and the earlier
//!   one is not listed any more, while the usage that was counted under it stays.
//! - Departments and sites are listed without counts of people.
//! - When an address is corrected, invitations to the earlier one are withdrawn by the database, and the new one gets
//!   its own. The holder of an account is told at the account's own address: who redirects somebody's invitations does
//!   not do so unseen.
//! - Deactivating asks for no `If-Match`, and heeds one that is given: leaving is a fact, not an edit. It is possible
//!   while the company is suspended, when nothing else changes.
//! - Who leaves, and who is back, is told so at the directory's address, in the same words account or not.
//! - Imports match people by address only. A row with the staff number of somebody else (as the directory is before
//!   the import) is rejected as `staff_number_taken`, since it may be a new person with a recycled number or an old one
//!   with a new address, and guessing wrong would give one person's place to another.
//! - In an import an empty cell empties the field, and a column that the file lacks changes nothing. An empty language
//!   keeps the person's, or is the company's for somebody new. Who had left is back (`reactivated`).
//! - A dry run is a read-only transaction: the database itself refuses to write.
//! - A file of unknown encoding is UTF-8 if it can be, otherwise Windows-1252. Line breaks inside a cell become
//!   spaces; other control characters reject the row. Texts are kept as they are written: a name that begins like a
//!   formula is protected where it is exported, not where it is kept.

pub mod api;
pub mod error;
pub mod events;
pub mod import;
pub mod model;
pub mod service;
pub mod store;

pub use api::EmployeesApi;
