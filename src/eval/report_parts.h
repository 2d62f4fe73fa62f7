/* Files that the build puts into the program (embed.c). */
#pragma once

extern const unsigned char report_page[]; /* report.html */
extern const unsigned long report_page_len;
extern const unsigned char report_charts[]; /* echarts.min.js, or nothing where it was not there */
extern const unsigned long report_charts_len;
