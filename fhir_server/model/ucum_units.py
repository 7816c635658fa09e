"""Units of UCUM as definitions in other units (https://ucum.org/ucum, tables 1 to 24).

The base units g, m, s, rad, K, C, cd have no entry; mol and the arbitrary units stand for themselves,
so that an amount of substance or an international unit never equals a bare number.
"""

from __future__ import annotations

PREFIXES = {
    "Y": "1e24", "Z": "1e21", "E": "1e18", "P": "1e15", "T": "1e12", "G": "1e9", "M": "1e6", "k": "1e3", "h": "1e2",
    "da": "1e1", "d": "1e-1", "c": "1e-2", "m": "1e-3", "u": "1e-6", "n": "1e-9", "p": "1e-12", "f": "1e-15",
    "a": "1e-18", "z": "1e-21", "y": "1e-24", "Ki": "1024", "Mi": "1048576", "Gi": "1073741824", "Ti": "1099511627776",
}  # fmt: skip

BASE = frozenset(("m", "s", "g", "rad", "K", "C", "cd", "mol", "bit", "eq", "osm"))
"""Metric units that are not defined by others."""

ARBITRARY_METRIC = frozenset(("[iU]", "[arb'U]", "[CFU]", "[PFU]", "[FFU]", "B", "Np", "[pH]"))
ARBITRARY = frozenset((
    "[USP'U]", "[AU]", "[BAU]", "[APL'U]", "[GPL'U]", "[MPL'U]", "[Amb'a'1'U]", "[anti'Xa'U]", "[beth'U]", "[CCID_50]",
    "[TCID_50]", "[EID_50]", "[PNU]", "[Lf]", "[todd'U]", "[tb'U]", "[knk'U]", "[mclg'U]", "[ka'U]", "[bdsk'U]",
    "[dye'U]", "[GPL'U]", "[HPF]", "[LPF]", "[D'ag'U]", "[FEU]", "[ELU]", "[EU]", "[smgy'U]", "[Amb'a'1'U]", "[hnsf'U]",
    "[MET]", "[HP_X]", "[HP_C]", "[HP_M]", "[HP_Q]", "[hp'_X]", "[hp'_C]", "[hp'_M]", "[hp'_Q]", "[kp_X]", "[kp_C]",
))  # fmt: skip

METRIC = {
    "[IU]": ("1", "[iU]"), "sr": ("1", "rad2"), "Hz": ("1", "s-1"), "N": ("1", "kg.m/s2"), "Pa": ("1", "N/m2"),
    "J": ("1", "N.m"), "W": ("1", "J/s"), "A": ("1", "C/s"), "V": ("1", "J/C"), "F": ("1", "C/V"), "Ohm": ("1", "V/A"),
    "S": ("1", "Ohm-1"), "Wb": ("1", "V.s"), "T": ("1", "Wb/m2"), "H": ("1", "Wb/A"), "lm": ("1", "cd.sr"),
    "lx": ("1", "lm/m2"), "Bq": ("1", "s-1"), "Gy": ("1", "J/kg"), "Sv": ("1", "J/kg"), "kat": ("1", "mol/s"),
    "L": ("1", "dm3"), "l": ("1", "dm3"), "ar": ("100", "m2"), "t": ("1000", "kg"), "bar": ("1e5", "Pa"),
    "u": ("1.6605402e-24", "g"), "eV": ("1.60217733e-19", "J"), "pc": ("3.085678e16", "m"), "st": ("1", "m3"),
    "g%": ("1", "g/dL"), "U": ("1", "umol/min"), "cal": ("4.184", "J"), "cal_[15]": ("4.18580", "J"),
    "cal_[20]": ("4.18190", "J"), "cal_m": ("4.19002", "J"), "cal_IT": ("4.1868", "J"), "cal_th": ("4.184", "J"),
    "m[H2O]": ("9.80665", "kPa"), "m[Hg]": ("133.3220", "kPa"), "mho": ("1", "S"), "P": ("1", "dyn.s/cm2"),
    "St": ("1", "cm2/s"), "dyn": ("1", "g.cm/s2"), "erg": ("1", "dyn.cm"), "G": ("1e-4", "T"), "Ci": ("3.7e10", "Bq"),
    "R": ("2.58e-4", "C/kg"), "RAD": ("100", "erg/g"), "REM": ("1", "RAD"), "Lmb": ("1",
    "cd/cm2"), "ph": ("1e-4", "lx"),
    "Bd": ("1", "s-1"), "By": ("8", "bit"), "tex": ("1", "g/km"), "gf": ("9.80665", "g.m/s2"),
    "[g]": ("9.80665", "m/s2"), "[ly]": ("9460730472580800", "m"), "[mu_0]": ("1", "N/A2"),
}  # fmt: skip

NON_METRIC = {
    "10*": ("10", ""), "10^": ("10", ""), "%": ("1e-2", ""), "[ppth]": ("1e-3", ""), "[ppm]": ("1e-6", ""),
    "[ppb]": ("1e-9", ""), "[pptr]": ("1e-12", ""), "[pi]": ("3.1415926535897932384626433832795028841971", ""),
    "min": ("60", "s"), "h": ("60", "min"), "d": ("24", "h"), "wk": ("7", "d"), "a_t": ("365.24219", "d"),
    "a_j": ("365.25", "d"), "a_g": ("365.2425", "d"), "a": ("1", "a_j"), "mo_s": ("29.53059", "d"),
    "mo_j": ("30.4375", "d"), "mo_g": ("30.436875", "d"), "mo": ("1", "mo_j"),
    "deg": ("2", "[pi].rad/360"), "gon": ("0.9", "deg"), "'": ("1", "deg/60"), "''": ("1", "'/60"),
    "circ": ("2", "[pi].rad"), "sph": ("4", "[pi].sr"), "atm": ("101325", "Pa"), "att": ("98066.5", "Pa"),
    "[psi]": ("1", "[lbf_av]/[in_i]2"), "[lbf_av]": ("1", "[lb_av].[g]"), "AU": ("149597.870691", "Mm"),
    "[in_i]": ("2.54", "cm"), "[ft_i]": ("12", "[in_i]"), "[yd_i]": ("3", "[ft_i]"), "[mi_i]": ("5280", "[ft_i]"),
    "[fth_i]": ("6", "[ft_i]"), "[nmi_i]": ("1852", "m"), "[kn_i]": ("1", "[nmi_i]/h"), "[mil_i]": ("1e-3", "[in_i]"),
    "[hd_i]": ("4", "[in_i]"), "[sin_i]": ("1", "[in_i]2"), "[sft_i]": ("1", "[ft_i]2"), "[syd_i]": ("1", "[yd_i]2"),
    "[cin_i]": ("1", "[in_i]3"), "[cft_i]": ("1", "[ft_i]3"), "[cyd_i]": ("1", "[yd_i]3"),
    "[ft_us]": ("1200", "m/3937"), "[yd_us]": ("3", "[ft_us]"), "[in_us]": ("1", "[ft_us]/12"),
    "[rd_us]": ("16.5", "[ft_us]"), "[ch_us]": ("4", "[rd_us]"), "[lk_us]": ("1", "[ch_us]/100"),
    "[rch_us]": ("100", "[ft_us]"), "[rlk_us]": ("1", "[rch_us]/100"), "[fth_us]": ("6", "[ft_us]"),
    "[fur_us]": ("40", "[rd_us]"), "[mi_us]": ("8", "[fur_us]"), "[acr_us]": ("160", "[rd_us]2"),
    "[srd_us]": ("1", "[rd_us]2"), "[smi_us]": ("1", "[mi_us]2"), "[mil_us]": ("1e-3", "[in_us]"),
    "[gal_us]": ("231", "[in_i]3"),
    "[qt_us]": ("1", "[gal_us]/4"), "[pt_us]": ("1", "[qt_us]/2"), "[gil_us]": ("1", "[pt_us]/4"),
    "[foz_us]": ("1", "[gil_us]/4"), "[fdr_us]": ("1", "[foz_us]/8"), "[min_us]": ("1", "[fdr_us]/60"),
    "[tbs_us]": ("1", "[foz_us]/2"), "[tsp_us]": ("1", "[tbs_us]/3"), "[cup_us]": ("16", "[tbs_us]"),
    "[foz_m]": ("30", "mL"), "[cup_m]": ("240", "mL"), "[tsp_m]": ("5", "mL"), "[tbs_m]": ("15", "mL"),
    "[gal_br]": ("4.54609", "L"), "[qt_br]": ("1", "[gal_br]/4"), "[pt_br]": ("1", "[qt_br]/2"),
    "[gil_br]": ("1", "[pt_br]/4"), "[foz_br]": ("1", "[gil_br]/5"), "[gr]": ("64.79891", "mg"),
    "[lb_av]": ("7000", "[gr]"), "[oz_av]": ("1", "[lb_av]/16"), "[dr_av]": ("1", "[oz_av]/16"),
    "[scwt_av]": ("100", "[lb_av]"), "[lcwt_av]": ("112", "[lb_av]"), "[ston_av]": ("20", "[scwt_av]"),
    "[lton_av]": ("20", "[lcwt_av]"), "[stone_av]": ("14", "[lb_av]"), "[oz_tr]": ("480", "[gr]"),
    "[lb_tr]": ("12", "[oz_tr]"), "[pwt_tr]": ("24", "[gr]"), "[oz_ap]": ("480", "[gr]"), "[dr_ap]": ("60", "[gr]"),
    "[sc_ap]": ("20", "[gr]"), "[in_i'H2O]": ("2.54", "cm[H2O]"), "[in_i'Hg]": ("2.54", "cm[Hg]"),
    "[Cal]": ("1", "kcal_th"), "[Btu]": ("1.05505585262", "kJ"), "[HP]": ("550", "[ft_i].[lbf_av]/s"),
    "[PRU]": ("1", "mm[Hg].s/mL"), "[wood'U]": ("1", "mm[Hg].min/L"), "[diop]": ("1", "m-1"), "[Ch]": ("1", "mm/[pi]"),
    "[car_m]": ("0.2", "g"), "[drp]": ("1", "mL/20"), "[acr_br]": ("4840", "[yd_i]2"), "[S]": ("1e-13", "s"),
    "[degRe]": ("1.25", "K"), "[c]": ("299792458", "m/s"), "Ao": ("0.1", "nm"), "b": ("100", "fm2"),
    "[p'diop]": ("1", ""), "[hnsf'U]": ("1", "[hnsf'U]"), "[bbl_us]": ("42", "[gal_us]"), "[pca]": ("1", "[in_i]/6"),
}  # fmt: skip

AFFINE = {"Cel": ("1", "273.15"), "[degF]": ("5/9", "459.67")}
"""Temperatures: kelvin = (value + offset) * factor. They stand alone, without prefix or exponent."""
