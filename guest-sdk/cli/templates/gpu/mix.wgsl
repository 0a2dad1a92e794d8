// p2c2r: use map, random
alias Item = u32;

// `mixed` of src/lib.rs
fn map_item(at: u32, item: Item) -> Item {
    return random_hash(item ^ at);
}
