"""What devices, their driver and NCCL on top of it tell a rank (texts of CUDA, cuBLAS, NCCL and torch)."""

from dlroverd.core.classify.rule import Rule, said
from dlroverd.model.fault import CauseKind

_CHECK = "check it (`nvidia-smi -q`, XID lines in `dmesg`) before it is used again"

DEVICES = (
    Rule(
        name="cuda.out_of_memory",
        kind=CauseKind.DEVICE_OUT_OF_MEMORY,
        says="ran out of device memory ({line})",
        remedy="use a smaller batch, activation checkpointing or more devices; "
        "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True helps if much is reserved and unallocated",
        said=said(
            "CUDA out of memory",
            "HIP out of memory",
            "XPU out of memory",
            "NPU out of memory",
            "CUDA error: out of memory",
            "CUDA_ERROR_OUT_OF_MEMORY",
            "CUBLAS_STATUS_ALLOC_FAILED",
            "Cuda failure*'out of memory'",
        ),
    ),
    Rule(
        name="cuda.ecc",
        kind=CauseKind.DEVICE_ERROR,
        says="was told of a memory error of its device ({line})",
        remedy=f"the device is defective or needs a reset: {_CHECK}",
        said=said("uncorrectable ECC error", "CUDA_ERROR_ECC_UNCORRECTABLE"),
    ),
    Rule(
        name="cuda.nvlink",
        kind=CauseKind.DEVICE_ERROR,
        says="was told of an NVLink error ({line})",
        remedy=f"a link or device is defective: {_CHECK}",
        said=said("uncorrectable NVLink error", "access of peer GPU memory over nvlink or a hardware error"),
    ),
    Rule(
        name="cuda.lost",
        kind=CauseKind.DEVICE_ERROR,
        says="lost its device ({line})",
        remedy="reboot that node; if it comes again the device, its slot or its power supply is defective",
        said=said("GPU is lost", "fallen off the bus", "Unable to determine the device handle for GPU"),
    ),
    Rule(
        name="cuda.driver",
        kind=CauseKind.DEVICE_ERROR,
        says="found a driver that does not fit ({line})",
        remedy="install a driver that this CUDA needs on that node, or reboot it if the driver was just upgraded",
        said=said(
            "CUDA driver version is insufficient",
            "NVIDIA driver on your system is too old",
            "unsupported display driver / cuda driver combination",
            "Driver/library version mismatch",
        ),
    ),
    Rule(
        name="cuda.not_ready",
        kind=CauseKind.DEVICE_ERROR,
        says="found devices that are not ready ({line})",
        remedy="start nvidia-fabricmanager, of the driver's own version, on that node",
        said=said("system not yet initialized", "CUDA_ERROR_SYSTEM_NOT_READY"),
    ),
    Rule(
        name="cuda.absent",
        kind=CauseKind.DEVICE_ERROR,
        says="found no usable device ({line})",
        remedy="see `nvidia-smi` on that node, and that the job does not set CUDA_VISIBLE_DEVICES itself",
        said=said(
            "no CUDA-capable device is detected",
            "No CUDA GPUs are available",
            "CUDA-capable devices are busy or unavailable",
            "CUDA-capable device(s) is/are busy or unavailable",
            "Found no NVIDIA driver on your system",
        ),
    ),
    Rule(
        name="cuda.assert",
        kind=CauseKind.EXCEPTION,
        says="failed an assertion in a CUDA kernel ({error})",
        remedy="an index out of range, most often; CUDA_LAUNCH_BLOCKING=1 shows where",
        said=said("device-side assert triggered"),
    ),
    Rule(
        name="cuda.crash",
        kind=CauseKind.DEVICE_CRASH,
        says="broke a kernel on its device ({line})",
        remedy="its code, or the device if it comes on this node only; CUDA_LAUNCH_BLOCKING=1 shows where",
        said=said(
            "illegal memory access",
            "unspecified launch failure",
            "CUDA error: misaligned address",
            "CUDA error: an illegal instruction",
            "CUDA error: hardware stack error",
            "CUBLAS_STATUS_EXECUTION_FAILED",
            "CUDNN_STATUS_EXECUTION_FAILED",
            "CUSOLVER_STATUS_EXECUTION_FAILED",
        ),
    ),
    Rule(
        name="nccl.usage",
        kind=CauseKind.EXCEPTION,
        says="used NCCL wrongly ({error})",
        remedy="two ranks on one device, or tensors that differ between ranks; NCCL_DEBUG=WARN says which",
        said=said("ncclInvalidUsage", "ncclInvalidArgument"),
    ),
    Rule(
        name="nccl.cuda",
        kind=CauseKind.DEVICE_CRASH,
        says="could not use CUDA in NCCL ({line})",
        remedy="NCCL_DEBUG=INFO says which call failed",
        said=said("ncclUnhandledCudaError", "unhandled cuda error"),
    ),
)
