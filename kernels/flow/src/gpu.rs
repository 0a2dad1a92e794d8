//! Buffers and dispatches: two a step.

use p2c2r_guest::{Gpu, GpuError};

use crate::task::{Spring, Task, Terrain, Water};

/// Invocations of a workgroup of both shaders.
const GROUP: u32 = 64;

/// All steps of a task.
pub(crate) fn simulate(gpu: Gpu, terrain: &Terrain, task: &Task) -> Result<Water, GpuError> {
    let params = gpu.buffer_from(&[task.params(terrain)])?;
    let ground = gpu.buffer_from(&terrain.ground)?;
    let depths = gpu.buffer_from(&task.water.depths)?;
    let mut flows = gpu.buffer_from(&task.water.flows)?;
    let mut flows_after = gpu.buffer::<[u32; 4]>(terrain.cells())?;
    // Buffers cannot be empty; the shader looks at as many as there are.
    let nowhere = [Spring { cell: u32::MAX, flow: 0 }];
    let springs = gpu.buffer_from(if task.springs.is_empty() { &nowhere } else { &task.springs })?;
    let groups = [(terrain.cells() as u32).div_ceil(GROUP), 1, 1];
    for _ in 0..task.steps {
        gpu.dispatch("pipes", groups, &[params.at(0), ground.at(1), depths.at(2), flows.at(3), flows_after.at(4)])?;
        std::mem::swap(&mut flows, &mut flows_after);
        gpu.dispatch("depths", groups, &[params.at(0), springs.at(1), depths.at(2), flows.at(3)])?;
    }
    Ok(Water { depths: depths.to_vec()?, flows: flows.to_vec()? })
}
