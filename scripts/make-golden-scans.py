#!/usr/bin/env python3
"""Makes the scans of tests/data/golden that other programs wrote: fastMRI's layout by h5py, in the variety that h5py users
produce, and raw data by the ismrmrd package. All hold the same numbers, so that the tests need no others:

    kspace[slice, coil, row, column] = 1000 slice + 100 coil + 10 row + column + 0.5i

    python3 -m venv venv && venv/bin/pip install h5py ismrmrd && venv/bin/python scripts/make-golden-scans.py
"""
import pathlib

import h5py
import ismrmrd
import ismrmrd.xsd as xsd
import numpy as np

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests/data/golden"
SLICES, COILS, ROWS, COLUMNS = 2, 3, 8, 6


def kspace(columns=COLUMNS):
    s, c, y, x = np.ogrid[:SLICES, :COILS, :ROWS, :columns]
    return (1000 * s + 100 * c + 10 * y + x + 0.5j).astype(np.complex64)


def header(encoded, recon, step_1, trajectory="cartesian", z=1):
    """The part of an ISMRMRD header that is read, by the package's own writer."""
    def space(x, y):
        return xsd.encodingSpaceType(matrixSize=xsd.matrixSizeType(x=x, y=y, z=z),
                                     fieldOfView_mm=xsd.fieldOfViewMm(x=280, y=160, z=4.5))
    limits = xsd.encodingLimitsType(
        kspace_encoding_step_1=xsd.limitType(minimum=step_1[0], center=step_1[1], maximum=step_1[2]))
    head = xsd.ismrmrdHeader(
        experimentalConditions=xsd.experimentalConditionsType(H1resonanceFrequency_Hz=123456789),
        subjectInformation=xsd.subjectInformationType(patientID="volunteer 7"),
        measurementInformation=xsd.measurementInformationType(protocolName="t2 tse", patientPosition="HFS"),
        encoding=[xsd.encodingType(encodedSpace=space(*encoded), reconSpace=space(*recon), encodingLimits=limits,
                                   trajectory=xsd.trajectoryType(trajectory))])
    return xsd.ToXML(head)


def fastmri(name, text, mask=None, single=False, variable=True, **how):
    with h5py.File(GOLDEN / name, "w") as f:
        f.create_dataset("kspace", data=kspace()[:, 0] if single else kspace(), track_times=False, **how)
        f["ismrmrd_header"] = text if variable else np.bytes_(text)
        rss = np.ones((SLICES, 4, 4), np.float32)
        if mask is None:
            f["reconstruction_rss"] = rss
            if single:
                f["reconstruction_esc"] = rss
        else:
            f["mask"] = mask
        f.attrs["acquisition"] = "CORPDFS_FBK" if variable else np.bytes_("CORPDFS_FBK")
        f.attrs["patient_id"] = "abc" if variable else np.bytes_("abc")


class Raw:
    """An ISMRMRD file in the making: the lines of `kspace`, in an order that is not that of columns."""
    def __init__(self, name, text):
        path = GOLDEN / name
        path.unlink(missing_ok=True)
        self.file = ismrmrd.Dataset(str(path))
        self.file.write_xml_header(text)

    def add(self, data, step, flags=(), **counters):
        line = ismrmrd.Acquisition.from_array(np.ascontiguousarray(data), center_sample=data.shape[1] // 2)
        line.idx.kspace_encode_step_1 = step
        for key, value in counters.items():
            setattr(line.idx, key, value)
        for flag in flags:
            line.set_flag(flag)
        self.file.append_acquisition(line)

    def slices(self, first, step_of, skip=()):
        k = kspace()
        for s in (1, 0):
            for x in [x for x in (4, 2, 5, 3, 1) if x >= first and x not in skip]:
                self.add(k[s, :, :, x], step_of(x), slice=s)


def raw_files():
    # Columns 1 to 5 of 6 are acquired, counted 0 to 4 with 2 in the centre.
    good = header((ROWS, COLUMNS), (4, 4), (0, 2, 4))
    r = Raw("ismrmrd.h5", good)
    r.add(np.full((COILS, ROWS), 9e9, np.complex64), 0, [ismrmrd.ACQ_IS_NOISE_MEASUREMENT])
    r.slices(1, lambda x: x - 1)
    again = kspace()[0, :, :, 3] + np.complex64(1)
    r.add(again, 2, slice=0, average=1)  # the mean is 0.5 more
    r.file.close()
    r = Raw("ismrmrd-gap.h5", good)
    r.slices(1, lambda x: x - 1, skip=[3])
    r.file.close()
    for name, text in (("ismrmrd-spiral.h5", header((ROWS, COLUMNS), (4, 4), (0, 2, 4), "spiral")),
                       ("ismrmrd-3d.h5", header((ROWS, COLUMNS), (4, 4), (0, 2, 4), z=2)),
                       ("ismrmrd-outside.h5", header((ROWS, 4), (4, 4), (0, 2, 4)))):
        r = Raw(name, text)
        r.slices(1, lambda x: x - 1)
        r.file.close()
    r = Raw("ismrmrd-coils.h5", good)
    r.slices(1, lambda x: x - 1)
    r.add(kspace()[0, :2, :, 3], 2, slice=0)
    r.file.close()
    short("ismrmrd-short.h5", good)


def short(name, text):
    """A record whose data are fewer than its head promises: the package would not write it, so h5py does."""
    r = Raw(name, text)
    r.slices(1, lambda x: x - 1)
    r.file.close()
    with h5py.File(GOLDEN / name, "r+") as f:
        record = f["dataset/data"][3]
        record["data"] = record["data"][:-2]
        f["dataset/data"][3] = record


def main():
    text = header((ROWS, COLUMNS), (4, 4), (0, 2, 4))
    fastmri("fastmri-chunked.h5", text, chunks=(1, 1, ROWS, COLUMNS), compression="gzip", shuffle=True)
    fastmri("fastmri-fixed.h5", text, variable=False)
    fastmri("fastmri-single.h5", text, single=True)
    keep = np.array([0, 1, 0, 1, 1, 0])
    fastmri("fastmri-mask-bool.h5", text, mask=keep.astype(bool))
    fastmri("fastmri-mask-f32.h5", text, mask=keep.astype(np.float32))
    fastmri("fastmri-mask-u8.h5", text, mask=keep.astype(np.uint8))
    raw_files()


main()
