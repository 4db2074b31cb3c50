"""A plugin of methods that do to their process what no cell should. Each stores the clips of `random`'s first choice, wherever it can."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import torch

from bench.api import Method, NoOptions
from bench.sets.dense import DenseSet


def threads(task):
    torch.set_num_threads(3)


def onednn(task):
    torch._C._set_mkldnn_enabled(False)


def patch(task):
    real = torch.cdist
    torch.cdist = lambda first, second: -real(first, second)


def thread(task):
    threading.Thread(target=time.sleep, args=(1000,), name="left").start()


def child(task):
    subprocess.Popen(["sleep", "1000"])


def daemon(task):
    subprocess.Popen(["sh", "-c", "sleep 1000 & exit"], start_new_session=True).wait()


def ends(task):
    subprocess.Popen(["sleep", "1000"])
    os._exit(7)


def forks(task):
    os.fork()


def prints(task):
    print("a plugin prints")


def logs_nothing(task):
    task.log(None)


def steps_in_words(task):
    task.progress("one", 2)


def loses_a_list(task):
    task.progress(1, 2, loss=[1.0])


def raises_what_nobody_catches(task):
    class Stop(BaseException):
        pass

    raise Stop("enough")


def interrupts_itself(task):
    raise KeyboardInterrupt


def leaves_its_generator(task):
    raise GeneratorExit("early")


def optimiser(task):
    torch.optim.SGD.step = lambda self, closure=None: None


def meets_torch(task):
    torch.zeros(2, 3).unflatten(1, (2, 2))


HABITS = (
    threads, onednn, patch, thread, child, daemon, ends, forks, prints, logs_nothing, steps_in_words, loses_a_list,
    raises_what_nobody_catches, interrupts_itself, leaves_its_generator, optimiser, meets_torch,
)  # fmt: skip


class Hostile(Method[NoOptions]):
    """One of the habits, then noise."""

    def distill(self, task):
        type(self).habit(task)
        labels = torch.arange(len(task.classes)).repeat_interleave(task.ipc)
        clips = task.clips(torch.stack([task.indices(int(label))[0] for label in labels]))
        task.progress(1, 1)
        return DenseSet(clips, labels)

    def stored_bytes(self, work):
        return 4 * work.classes * work.ipc * work.clip.values()

    def clip_passes(self, work):
        return 0.0

    habit = None

    def __init_subclass__(cls):
        if cls.habit is None:
            raise TypeError


for _habit in HABITS:
    _name = "".join(word.title() for word in _habit.__name__.split("_"))
    globals()[_name] = type(
        _name,
        (Hostile,),
        {"name": f"hostile-{_habit.__name__.replace('_', '-')}", "habit": staticmethod(_habit), "__module__": __name__},
    )
del Hostile, sys
