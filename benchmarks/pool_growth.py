"""How a shared pool grows with the largest batch size, per capture order, by the allocator's rules.

    python benchmarks/pool_growth.py [--splits 8]

No graph is captured: the requests of a decode step of the Llama-3-8B shape, bf16, go through the
allocator of recorded graphs, whose rules are the CUDA caching allocator's. `--splits` adds what
FlashAttention 3 asks for to add up so many splits of the keys.
"""

import argparse
from dataclasses import dataclass

from harness.core.capture import sizes_up_to
from harness.engine.capture.arena import MIB, Block, BlockAllocator

SIZES = (64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class Step:
    """Bytes per row of what one step asks for, by its last use: see `capture`."""

    angles: int = 128 * 2
    hidden: int = 4096 * 2
    qkv: int = (32 + 8 + 8) * 128 * 2
    lse: int = 32 * 4
    gate_up: int = 2 * 14336 * 2
    gated: int = 14336 * 2
    splits: int = 1

    @property
    def partial(self) -> int:
        """Float32 answers of all splits."""
        return self.splits * 32 * 128 * 4 if self.splits > 1 else 0


def capture(blocks: BlockAllocator, step: Step, bs: int) -> None:
    """One graph's requests and releases; two layers ask for what all do, as blocks are reused."""

    def ask(*row_bytes: int) -> list[Block]:
        return [blocks.allocate(bs * each) for each in row_bytes if each]

    def drop(asked: list[Block]) -> None:
        for block in asked:
            blocks.release(block)

    kept = ask(step.angles, step.angles, step.hidden)
    for _ in range(2):
        for product, answers in (
            (step.qkv, (step.partial, step.hidden, step.lse)),
            (step.gate_up, (step.gated,)),
        ):
            normed = ask(step.hidden)
            given = ask(product)
            drop(normed)
            drop(ask(*answers) + given)
    drop(ask(step.hidden) + kept)


def growth(step: Step, sizes: list[int]) -> list[int]:
    """MiB of the pool after each capture."""
    blocks = BlockAllocator(1 << 50)
    found = []
    for bs in sizes:
        capture(blocks, step, bs)
        found.append(blocks.reserved // MIB)
    return found


def main() -> None:
    """Print one line per largest size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=1)
    step = Step(splits=parser.parse_args().splits)
    print("max_bs  ascending MiB  descending MiB  largest graph MiB")
    for largest in SIZES:
        sizes = sizes_up_to(largest)
        ascending, descending = growth(step, sizes), growth(step, sizes[::-1])
        print(f"{largest:6} {ascending[-1]:14} {descending[-1]:15} {descending[0]:18}")


if __name__ == "__main__":
    main()
