"""The one loop. What differs between kinds of training lives at its edges: the task's phases, the batch source."""

from netwright.training.session import Session

__all__ = ["train"]


def train(run: Session) -> None:
    """Train until the plan's end, an early stop, or an error; every exit leaves a run folder that can be resumed.

    Raises:
        DivergedError: the loss stopped being a number.
        Interrupted: Ctrl-C.
        Preempted: SIGTERM.
    """
    task, model, engine = run.task, run.model, run.engine
    run.notify("start")
    for batch in run.batches():  # epochs, devices, rollouts live behind this
        for phase in task.phases:  # nearly always one
            with engine.autocast():
                out = task.training_step(model, batch, phase)
            engine.backward(out.loss, phase)  # precision, accumulation, ranks
            if engine.update_if_due(phase):  # clip, optimizer, schedule
                task.after_update(model, engine.updates)
        run.step_end(out)  # progress, log, doctor, early stop: one set of hooks
        if run.due("validate"):
            run.validate()
        if run.due("checkpoint"):
            run.save()
    run.notify("end")
