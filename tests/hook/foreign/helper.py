import torch.cuda


def capture_all() -> list[int]:
    sizes = []

    def capture_one(size: int) -> None:
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            sizes.append(size)

    for size in {1: "", 4: "", 16: ""}:
        capture_one(size)
    return sizes
