// The policy (src/policy/), one invocation an agent: the same integers as Policy::walk, under the same names.

// The nav grid's bytes: magic, width | height << 16, then a byte a cell.
@group(0) @binding(0) var<storage, read> grid: array<u32>;
// The weights file (src/policy/network.rs).
@group(0) @binding(1) var<storage, read> weights: array<u32>;
// Four words an agent: place, goal, threat, last step + 1 | threatened << 8. A cell is x | y << 16.
@group(0) @binding(2) var<storage, read> agents: array<u32>;
// A word an agent: a byte a step, the first one lowest, 8 to stay.
@group(0) @binding(3) var<storage, read_write> steps: array<u32>;

const WAYPOINTS = 4u;
const ONE = 64;
const STAY = 8u;

// Words of four inputs of each layer, and the layers' outputs.
const IN1 = 48u;
const OUT1 = 64u;
const IN2 = 16u;
const OUT2 = 32u;
const IN3 = 8u;
const WEIGHTS1 = 4u;
const WEIGHTS2 = WEIGHTS1 + OUT1 * IN1 + OUT1;
const WEIGHTS3 = WEIGHTS2 + OUT2 * IN2 + OUT2;

const RADIUS = 6;
const SIGHT = 12;
const DANGER = 5;
const GOAL_AT = 168u;
const THREAT_AT = 174u;
const STEP_AT = 180u;

struct View {
    flip_x: bool,
    flip_y: bool,
    swapped: bool,
}

struct Walker {
    at: vec2<i32>,
    goal: vec2<i32>,
    threat: vec2<i32>,
    threatened: bool,
    // A direction, 8 for none.
    heading: u32,
}

fn cell(word: u32) -> vec2<i32> {
    return vec2<i32>(i32(word & 0xffffu), i32(word >> 16u));
}

// The cost of a cell, 0 for a wall and for anything off the grid.
fn cost(at: vec2<i32>) -> u32 {
    let size = cell(grid[1]);
    if at.x < 0 || at.y < 0 || at.x >= size.x || at.y >= size.y {
        return 0u;
    }
    let index = u32(at.y * size.x + at.x);
    return (grid[2u + index / 4u] >> (index % 4u * 8u)) & 0xffu;
}

// By the direction's number; staying is (0, 0).
fn offset(direction: u32) -> vec2<i32> {
    switch direction {
        case 0u: { return vec2<i32>(1, 0); }
        case 1u: { return vec2<i32>(0, 1); }
        case 2u: { return vec2<i32>(-1, 0); }
        case 3u: { return vec2<i32>(0, -1); }
        case 4u: { return vec2<i32>(1, 1); }
        case 5u: { return vec2<i32>(-1, 1); }
        case 6u: { return vec2<i32>(-1, -1); }
        case 7u: { return vec2<i32>(1, -1); }
        default: { return vec2<i32>(0, 0); }
    }
}

fn direction_of(wanted: vec2<i32>) -> u32 {
    var found = STAY;
    for (var direction = 0u; direction < STAY; direction++) {
        if all(offset(direction) == wanted) {
            found = direction;
        }
    }
    return found;
}

// NavGrid::step.
fn allowed(at: vec2<i32>, direction: u32) -> bool {
    let by = offset(direction);
    return cost(at + by) != 0u && cost(at + vec2<i32>(by.x, 0)) != 0u && cost(at + vec2<i32>(0, by.y)) != 0u;
}

fn seen(view: View, by: vec2<i32>) -> vec2<i32> {
    let flipped = vec2<i32>(select(by.x, -by.x, view.flip_x), select(by.y, -by.y, view.flip_y));
    return select(flipped, flipped.yx, view.swapped);
}

fn on_grid(view: View, by: vec2<i32>) -> vec2<i32> {
    let turned = select(by, by.yx, view.swapped);
    return vec2<i32>(select(turned.x, -turned.x, view.flip_x), select(turned.y, -turned.y, view.flip_y));
}

fn distance_of(by: vec2<i32>) -> i32 {
    return max(abs(by.x), abs(by.y));
}

// Bytes of an array of words, all zero before.
fn put(bytes: ptr<function, array<u32, IN1>>, index: u32, value: i32) {
    (*bytes)[index / 4u] |= (u32(value) & 0xffu) << (index % 4u * 8u);
}

fn observe(walker: Walker, view: View, inputs: ptr<function, array<u32, IN1>>) {
    let threat = seen(view, walker.threat - walker.at);
    var input = 0u;
    for (var v = -RADIUS; v <= RADIUS; v++) {
        for (var u = -RADIUS; u <= RADIUS; u++) {
            if u == 0 && v == 0 {
                continue;
            }
            let here = i32(cost(walker.at + on_grid(view, vec2<i32>(u, v))));
            var value = ONE;
            if here != 0 {
                let close = select(0, max(DANGER - distance_of(threat - vec2<i32>(u, v)), 0), walker.threatened);
                value = 2 * min(here - 1, 15) - 16 * close;
            }
            put(inputs, input, value);
            input++;
        }
    }

    let goal = seen(view, walker.goal - walker.at);
    put(inputs, GOAL_AT, min(8 * goal.x, 127));
    put(inputs, GOAL_AT + 1u, min(8 * goal.y, 127));
    put(inputs, GOAL_AT + 2u, min(2 * goal.x, 127));
    put(inputs, GOAL_AT + 3u, min(2 * goal.y, 127));
    put(inputs, GOAL_AT + 4u, 64 * goal.y / max(goal.x, 1));
    put(inputs, GOAL_AT + 5u, 8 * max(8 - goal.x, 0));

    let cells = distance_of(threat);
    if walker.threatened && cells <= SIGHT {
        put(inputs, THREAT_AT, ONE);
        put(inputs, THREAT_AT + 1u, 8 * threat.x);
        put(inputs, THREAT_AT + 2u, 8 * threat.y);
        put(inputs, THREAT_AT + 3u, 8 * (SIGHT + 1 - cells));
        put(inputs, THREAT_AT + 4u, 64 * threat.x / max(cells, 1));
        put(inputs, THREAT_AT + 5u, 64 * threat.y / max(cells, 1));
    }

    if walker.heading < STAY {
        put(inputs, STEP_AT + direction_of(seen(view, offset(walker.heading))), ONE);
    }
}

fn activation(sum: i32, shift: u32) -> u32 {
    return u32(clamp((sum + (1 << (shift - 1u))) >> shift, 0, 127));
}

// The move with the highest score of those the grid allows.
fn choose(walker: Walker) -> u32 {
    let to_goal = walker.goal - walker.at;
    let view = View((to_goal.x < 0), (to_goal.y < 0), (abs(to_goal.y) > abs(to_goal.x)));
    var inputs: array<u32, IN1>;
    observe(walker, view, &inputs);

    var first: array<u32, IN2>;
    for (var o = 0u; o < OUT1; o++) {
        var sum = i32(weights[WEIGHTS1 + OUT1 * IN1 + o]);
        for (var i = 0u; i < IN1; i++) {
            sum += dot4I8Packed(weights[WEIGHTS1 + o * IN1 + i], inputs[i]);
        }
        first[o / 4u] |= activation(sum, weights[1]) << (o % 4u * 8u);
    }
    var second: array<u32, IN3>;
    for (var o = 0u; o < OUT2; o++) {
        var sum = i32(weights[WEIGHTS2 + OUT2 * IN2 + o]);
        for (var i = 0u; i < IN2; i++) {
            sum += dot4I8Packed(weights[WEIGHTS2 + o * IN2 + i], first[i]);
        }
        second[o / 4u] |= activation(sum, weights[2]) << (o % 4u * 8u);
    }
    var best = STAY;
    var best_score = 0;
    var found = false;
    for (var o = 0u; o <= STAY; o++) {
        var sum = i32(weights[WEIGHTS3 + (STAY + 1u) * IN3 + o]);
        for (var i = 0u; i < IN3; i++) {
            sum += dot4I8Packed(weights[WEIGHTS3 + o * IN3 + i], second[i]);
        }
        let direction = direction_of(on_grid(view, offset(o)));
        if (o == STAY || allowed(walker.at, direction)) && (!found || sum > best_score) {
            best = direction;
            best_score = sum;
            found = true;
        }
    }
    return best;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= arrayLength(&steps) {
        return;
    }
    let agent = id.x * 4u;
    let flags = agents[agent + 3u];
    // Direction 8 for a last step of 0.
    let heading = select((flags & 0xffu) - 1u, STAY, (flags & 0xffu) == 0u);
    var walker = Walker(
        cell(agents[agent]),
        cell(agents[agent + 1u]),
        cell(agents[agent + 2u]),
        (flags & 0x100u) != 0u,
        heading,
    );
    var taken = 0u;
    for (var step = 0u; step < WAYPOINTS; step++) {
        var direction = STAY;
        if any(walker.at != walker.goal) && cost(walker.goal) != 0u {
            direction = choose(walker);
        }
        walker.at += offset(direction);
        walker.heading = direction;
        taken |= direction << (step * 8u);
    }
    steps[id.x] = taken;
}
